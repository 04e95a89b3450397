#pragma once
// Analyst: scans what pushes bring, with all cores. It hashes the bytes itself, looks for a record
// of them, scans what has none and keeps the outcome, so that it outlives whoever asked. What two
// ask for at once is scanned once.
#include "policy/judge/authority.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace hubgate {

class Analyst {
public:
  struct Options {
    unsigned jobs = 1;
    double deadline_seconds = 600; ///< of one scan
    Limits limits;
    /// Directory for unlinked copies of files that somebody may change, owner-only.
    std::string scratch;
  };
  /// Whether whoever has a file could change it while it is scanned and still let it look the same.
  enum class Owner { trusted, foreign };

  Analyst(Gatekeeper& keeper, WorkerPool& pool, Options options);
  /// Drops what waits, without a word to who asked, and waits for what runs.
  ~Analyst();
  Analyst(const Analyst&) = delete;
  Analyst& operator=(const Analyst&) = delete;

  /// As in Authority. The memory file is sealed, the items lie inside of it.
  void batch(Fd memory, std::vector<BatchItem> items, Authority::Done done);
  void file(Fd file, std::optional<ObjectDigest> computed, Owner owner, Authority::Done done);
  /// The code of a tree in a memory file; waits. Offsets are those in the bundle.
  Report code(int memory, std::uint64_t size, double seconds);

  /// A copy of a file that somebody else may change, and what is in the copy.
  Result<std::pair<Fd, ObjectDigest>> copied(int file);

  using Task = std::function<void()>;
  /// Runs something that is short beside a large file among the batches. It does not throw.
  void run(Task task) { push(small_, std::move(task)); }

  unsigned jobs() const { return std::max(1u, options_.jobs); }

private:
  /// What waits. Small objects do not wait for large ones: each kind has its threads.
  using Lane = std::deque<Task>;

  void push(Lane& lane, Task task);
  void work(Lane& lane);
  Result<std::vector<Analysis>> scan_items(int memory, const std::vector<BatchItem>& items);
  Result<std::optional<Analysis>> scan_whole(Fd file, std::optional<ObjectDigest> computed,
                                             Owner owner, Authority::Done& done);
  Result<Report> scan_once(const ObjectDigest& digest, int file, const std::function<bool()>& same);
  std::optional<Report> record_of(const ObjectDigest& digest);

  Gatekeeper& keeper_;
  WorkerPool& pool_;
  Options options_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Lane small_;
  Lane large_;
  bool closing_ = false;
  /// Objects that are being scanned, and who waits for them.
  std::map<Sha256, std::vector<Authority::Done>> scanning_;
  std::vector<std::thread> threads_;
};

/// Writes all or says why not.
Result<void> write_bytes(int fd, Bytes bytes);

/// Reads a file to its end.
Result<ObjectDigest> hash_file(int fd);

/// An unlinked file in `directory`, for bytes that are too many for memory.
Result<Fd> unlinked_file(const std::string& directory);

} // namespace hubgate
