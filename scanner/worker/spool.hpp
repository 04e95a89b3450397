#pragma once
// Spool: where an object's bytes lie while they arrive, shared read-only with the worker that scans
// them. The first bytes stay in memory (a memfd), the rest goes to an unlinked file; once the scan
// has said that the rest is inert nothing more is kept but the held tail and a few samples. One
// writer (the relay), one reader (the worker); the writer never shrinks anything under the reader.
#include "scanner/core/bytes.hpp"
#include "scanner/core/kept.hpp"
#include "scanner/core/result.hpp"
#include "scanner/core/session.hpp"
#include "scanner/worker/mapped_file.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hubgate {

/// A file descriptor that is closed with its owner.
class Fd {
public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset();

private:
  int fd_ = -1;
};

/// The progress of a spool, in memory that the worker maps read-only. Every change of the other
/// fields bumps `sequence`, which is the futex word that the reader waits on.
struct ArrivalState {
  static constexpr std::uint64_t k_unknown = ~std::uint64_t{0};
  enum Phase : std::uint32_t { arriving, complete, cut };

  std::atomic<std::uint32_t> sequence{0};
  std::atomic<std::uint32_t> phase{arriving};
  std::atomic<std::uint64_t> arrived{0};      ///< every byte before this can be read
  std::atomic<std::uint64_t> size{k_unknown}; ///< as announced; the true one once complete
  /// Bytes [arrived, tail_begin) were given up, but for what the reader had asked to keep;
  /// [tail_begin, size) can be read once complete.
  std::atomic<std::uint64_t> tail_begin{k_unknown};
  std::uint64_t memory_bytes = 0; ///< bytes before this, and the tail, are in the memfd
};

class Spool {
public:
  struct Options {
    /// For the unlinked file; must be owned by the gate and not be readable by others.
    std::string directory;
    /// Bytes kept in memory before the file is used.
    std::uint64_t memory_bytes = std::uint64_t{1} << 20;
  };

  /// `size`: the announced length in bytes, if there is one.
  static Result<std::unique_ptr<Spool>> create(std::optional<std::uint64_t> size,
                                               const Options& options);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Adds bytes that arrived, in order, and wakes the reader. An error means that the disk is full
  /// or failing: the caller must cut() and refuse the object.
  Result<void> append(Bytes bytes);

  /// From here on keeps only the last k_held_tail bytes, and of the others `kept`: they lie where
  /// they would lie. Called when the scan says so.
  void drop_rest(std::vector<KeptRange> kept = {});

  /// All bytes came / no more will come.
  void finish();
  void cut();

  /// Bytes that came so far, kept or not.
  std::uint64_t total() const { return total_; }
  /// Bytes written to the file so far: what a quota counts.
  std::uint64_t on_disk() const { return on_disk_; }
  /// True when the next byte would go to the file. A relay may first let the scan catch up.
  bool memory_full() const { return !dropped_ && total_ >= options_.memory_bytes; }
  bool dropped() const { return dropped_; }

  /// Reads back what is kept (quarantine, requests answered from the spool); empty if it is not.
  std::vector<std::uint8_t> read(std::uint64_t offset, std::size_t n) const;

  int memory_fd() const { return memory_.get(); }
  int disk_fd() const { return disk_.get(); } ///< opened at creation, empty until needed
  int state_fd() const { return state_fd_.get(); }

private:
  explicit Spool(const Options& options) : options_(options) {}
  Result<void> write_at(int fd, std::uint64_t offset, Bytes bytes);
  /// In memory or in the file, as the offset says.
  Result<void> store(std::uint64_t offset, Bytes bytes);
  Result<void> store_kept(std::uint64_t offset, Bytes bytes);
  void wake();

  Options options_;
  Fd memory_, disk_, state_fd_;
  ArrivalState* state_ = nullptr;
  std::uint64_t total_ = 0;
  std::uint64_t on_disk_ = 0;
  bool dropped_ = false;
  std::vector<std::uint8_t> tail_; ///< ring of the last bytes once dropped_
  std::uint64_t dropped_at_ = 0;
  std::vector<KeptRange> kept_;
  std::size_t kept_at_ = 0; ///< those before it have passed
};

/// A spool or a complete file, as the worker sees it.
class ArrivingSource final : public KeepingSource {
public:
  /// Reads a spool; takes the descriptors over. `state_fd` is mapped.
  static Result<std::unique_ptr<ArrivingSource>> from_spool(Fd memory, Fd disk, Fd state);
  /// Reads a complete file of `size` bytes.
  static std::unique_ptr<ArrivingSource> from_file(Fd file, std::uint64_t size);
  ~ArrivingSource() override;

  std::optional<std::uint64_t> size() override;
  Bytes view(std::uint64_t offset, std::size_t n) override;
  Bytes some(std::uint64_t offset, std::size_t n) override;
  bool random_access() override;
  std::uint64_t wait_end() override;
  Fault fault() const override { return fault_; }

private:
  ArrivingSource() = default;
  /// Waits until `end` can be read or no more will come; returns the readable end for `offset`.
  std::uint64_t wait_for(std::uint64_t offset, std::uint64_t end);
  std::optional<std::uint64_t> kept_end(std::uint64_t offset) const;
  Bytes read(std::uint64_t offset, std::size_t n, std::uint64_t readable);
  bool pread_all(std::uint64_t offset, std::span<std::uint8_t> out);

  Fd memory_, disk_;
  const ArrivalState* state_ = nullptr; ///< null for a complete file
  std::uint64_t file_size_ = 0;
  const std::uint8_t* map_ = nullptr; ///< whole complete file
  MappedPages pages_;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t buffer_begin_ = 0;
  Fault fault_ = Fault::none;
};

} // namespace hubgate
