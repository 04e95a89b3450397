#pragma once
// Judge: scans what a push brought, as it is read, with all cores. Small blobs are read once,
// hashed and put together into batches (one worker a batch, batches only within this push); big
// ones and LFS objects go through a file. A record of the same bytes spares the scan.
#include "hook/git/pointer.hpp"
#include "policy/gatekeeper.hpp"
#include "scanner/worker/worker.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace hubgate {

/// What came out for one object.
struct Judged {
  ObjectDigest digest;
  Report report;
  bool fresh = false; ///< scanned now: worth a record
  std::optional<git::Pointer> pointer;
  std::string head; ///< the first bytes of a small blob, for what its name may make of them
};

class Judge {
public:
  struct Options {
    std::string temporary; ///< directory for unlinked files, owner-only
    unsigned jobs = 1;
    double deadline_seconds = 600; ///< of one scan
    Limits limits;
    /// Called now and then while the judge waits; false: give up.
    std::function<bool()> tick = [] { return true; };
  };
  /// Writes an object's bytes, in pieces, into `take`.
  using Pump = std::function<Result<void>(const std::function<Result<void>(Bytes)>& take)>;

  Judge(Gatekeeper& keeper, WorkerPool& pool, Options options);
  /// Drops what is queued and waits for the scans that run.
  ~Judge();
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  // The results lie still; they are filled in when wait() has returned.
  Judged& small(Bytes bytes);
  Judged& big(Pump pump);
  /// A complete file that somebody else keeps. It must not change while it is read.
  Judged& file(Fd fd);

  /// Waits until all that was given is judged; the first failure, if there was one.
  Result<void> wait();
  std::size_t done() const { return done_; }
  std::size_t given() const { return results_.size(); }

private:
  struct Batch;
  using Task = std::function<Result<void>()>;

  void flush();
  void push(Task task);
  void work();
  void fail(Error error);
  bool known(Judged& judged);
  Result<void> scan(Batch& batch);
  Result<void> judge_file(Judged& judged, int fd);

  Gatekeeper& keeper_;
  WorkerPool& pool_;
  Options options_;
  std::deque<Judged> results_;
  std::unique_ptr<Batch> open_; ///< being filled

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> queue_;
  std::size_t running_ = 0;
  bool closing_ = false;
  std::optional<Error> failed_;
  std::atomic<std::size_t> done_{0};
  std::vector<std::thread> threads_;
};

/// Writes all or says why not.
Result<void> write_bytes(int fd, Bytes bytes);

/// An unlinked file in `directory`, for bytes that are too many for memory.
Result<Fd> unlinked_file(const std::string& directory);

} // namespace hubgate
