#pragma once
// Cache: whole objects on disk, named by their sha256, bounded in bytes. An object comes in through
// a Fill, which is fed while the bytes pass and becomes an entry only when they were hashed to
// their end and kept on purpose: written, fsynced, renamed. A gate that is killed leaves files in
// tmp/, which the next one removes. One gate holds the folder at a time.
//
//   lock   index.db   objects/ab/abcdef…   tmp/
#include "proxy/cache/index.hpp"
#include "proxy/cache/tags.hpp"
#include "proxy/relay/recent.hpp"
#include "scanner/worker/spool.hpp"

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <functional>
#include <set>

namespace hubgate::proxy {

/// An object that is there, open: it stays readable though it is evicted meanwhile.
struct CacheEntry {
  Fd file;
  std::uint64_t size = 0; ///< bytes
};

class CacheFill;

class Cache {
public:
  struct Options {
    std::filesystem::path dir;
    std::uint64_t size = std::uint64_t{100}
                         << 30; ///< bytes of all objects, those being written too
    bool offline = false;       ///< answers from here when the hub can't be asked
  };
  /// Counted since the start.
  struct Counts {
    std::atomic<std::uint64_t> kept{0};      ///< objects that became entries
    std::atomic<std::uint64_t> given_up{0};  ///< fills that did not: disk full, too slow, an error
    std::atomic<std::uint64_t> evicted{0};   ///< to make room
    std::atomic<std::uint64_t> withdrawn{0}; ///< because of their verdict
    std::atomic<std::uint64_t> damaged{0};   ///< other bytes on disk than were written
  };

  /// Makes the folder, takes its lock, removes what a killed gate left. An error: no cache.
  static Result<std::unique_ptr<Cache>> open(Options options);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// Takes an object in; null when it can't be kept (too large). `size`: if it is known.
  std::shared_ptr<CacheFill> begin(std::optional<std::uint64_t> size);

  /// Opens an object and notes that it was used. Nothing when it is not there. Blocks.
  std::optional<CacheEntry> find(const Sha256& sha256, std::uint64_t size);
  /// Whether it is there; no use. Blocks.
  bool has(const Sha256& sha256);

  enum class Why { room, verdict, damage };
  void evict(const Sha256& sha256, Why why);

  const Tagger& tagger() const { return tagger_; }
  /// What is known of the object's pieces; to be filled by who compares them. For one thread.
  std::shared_ptr<ObjectTags> tags_of(const Sha256& sha256, std::uint64_t size);

  CacheIndex& index() { return *index_; }
  const Options& options() const { return options_; }
  const Counts& counts() const { return counts_; }
  /// Bytes of objects, for the metrics: as of the last change of this gate.
  std::uint64_t bytes() const { return bytes_; }
  /// Waits until everything that was appended, kept or dropped so far is done. For tests.
  void flush();

  static std::filesystem::path object_file(const std::filesystem::path& dir, const Sha256& sha256);

private:
  friend class CacheFill;
  /// Memory for tags, of some 240 GiB of objects.
  static constexpr std::size_t k_tags = std::size_t{16} << 20;
  explicit Cache(Options options) : options_(std::move(options)) {}
  Result<void> clean();
  bool reserve(std::uint64_t bytes);
  void release(std::uint64_t bytes);
  void look_again();
  std::vector<std::uint8_t> take_buffer();
  void give_back(std::vector<std::uint8_t> buffer);

  Options options_;
  Fd lock_;
  std::unique_ptr<CacheIndex> index_;
  Tagger tagger_;
  Recent<std::shared_ptr<ObjectTags>> tags_{k_tags};
  std::mutex room_;            ///< for what follows
  std::uint64_t reserved_ = 0; ///< by fills
  Counts counts_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> queued_{0}; ///< bytes in memory, not written yet
  std::atomic<std::uint32_t> posted_{0}; ///< pieces of work of fills that are not done
  std::atomic<std::uint64_t> fills_{0};  ///< names in tmp/
  std::mutex spare_room_;                ///< for what follows
  std::vector<std::vector<std::uint8_t>> spare_;
  std::uint32_t filling_ = 0; ///< fills that are not over; without any nothing is spare
  boost::asio::thread_pool writers_{2};
};

/// An object on its way in. append(), keep() and drop() are for one thread and never wait; the disk
/// is written by others. Whatever goes wrong there only means that it is not kept.
class CacheFill : public std::enable_shared_from_this<CacheFill> {
public:
  ~CacheFill();
  CacheFill(const CacheFill&) = delete;
  CacheFill& operator=(const CacheFill&) = delete;

  /// The next bytes; copied.
  void append(Bytes bytes);
  /// Too much waits for the disk: the feeder should pause, or drop().
  bool behind() const;
  /// All of it was appended and hashes to this: make it an entry, soon.
  void keep(const Sha256& sha256);
  void drop();
  bool over() const { return over_; }
  std::uint64_t appended() const { return appended_; }
  /// How long the feeder has paused in all, in milliseconds; its own account.
  std::uint32_t paused = 0;

private:
  friend class Cache;
  explicit CacheFill(Cache& cache);
  void post(std::function<void(CacheFill&)> work);
  void hand_over();
  void write(const std::vector<std::uint8_t>& bytes);
  void finish(const Sha256& sha256);
  void abandon(bool counts);

  Cache& cache_;
  boost::asio::strand<boost::asio::thread_pool::executor_type> strand_;
  // The feeder's.
  std::vector<std::uint8_t> pending_;
  std::uint64_t appended_ = 0;
  bool over_ = false;
  // The writers', one after the other.
  std::filesystem::path path_;
  Fd file_;
  std::uint64_t written_ = 0;
  std::uint64_t synced_ = 0; ///< handed to the disk so far
  std::uint64_t reserved_ = 0;
  bool done_ = false; ///< became an entry, or never will
};

} // namespace hubgate::proxy
