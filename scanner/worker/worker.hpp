#pragma once
// Isolation: one worker process an object, forked from a parent that was forked before the gate
// opened anything. The worker holds the source (read-only), its progress and a pipe for its answer;
// seccomp and rlimits leave it memory, reads and that pipe. What it says is data: decoded with
// bounds here, and only ever about its own object.
//
//   main()  WorkerPool::start() first of all: before threads, sockets, keys
//   scan    pool.submit(...) -> WorkerJob; poll job.answer_fd(); AnswerReader::feed() what it gives
//   files   scan_file(), scan_batch() do that and wait
#include "scanner/code/python/repository.hpp"
#include "scanner/worker/spool.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace hubgate {

/// One object in a batch: a range of the batch's file.
struct BatchItem {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct JobMessage;

/// What another part of the program parses in the sandbox: reads from `questions` until that ends
/// and writes to `answers`, both pipes. It has memory and these two, nothing else.
using WorkerService = void (*)(int questions, int answers);

/// A running worker. Destroying it kills the worker, if it still runs.
class WorkerJob {
public:
  WorkerJob() = default;
  WorkerJob(WorkerJob&& other) noexcept;
  WorkerJob& operator=(WorkerJob&& other) noexcept;
  ~WorkerJob();

  /// Non-blocking read end of the answer; ends after the worker's exit was announced on it.
  int answer_fd() const { return answer_.get(); }
  /// Ends the worker now, for instance at a deadline. The answer then ends.
  void kill();

private:
  friend class WorkerPool;
  class WorkerPool* pool_ = nullptr;
  std::uint64_t id_ = 0;
  Fd answer_;
};

class WorkerPool {
public:
  /// Forks the parent of all workers and runs a self-test in its sandbox. Must be called while the
  /// process has one thread. Fails when the sandbox can't be set up: then nothing may be scanned.
  /// `services`: all that submit_service() may start.
  static Result<std::unique_ptr<WorkerPool>> start(FormatTable formats,
                                                   std::vector<WorkerService> services = {});
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Scans an arriving object. Thread-safe, like all of these.
  Result<WorkerJob> submit(const Spool& spool, const Limits& limits);
  /// Scans a complete file of `size` bytes; `fd` is duplicated and reopened read-only by the caller
  /// if it matters. The file should not change meanwhile: if it shrinks, the object is unreadable.
  Result<WorkerJob> submit(int fd, std::uint64_t size, const Limits& limits);
  /// Scans ranges of one file, one report each, in one worker: for many small objects of one push.
  Result<WorkerJob> submit(int fd, std::uint64_t size, const std::vector<BatchItem>& items,
                           const Limits& limits);

  /// Analyses the code of a repository together. Offsets of the report are those in the bundle:
  /// BundleWriter::name_files() turns them into paths.
  Result<WorkerJob> submit(const python::BundleWriter& bundle, const Limits& limits);
  /// The same for a bundle's bytes in a file that does not change.
  Result<WorkerJob> submit_bundle(int fd, std::uint64_t size, const Limits& limits);

  /// Gives all jobs that are submitted from now on the YARA rules (yara::compile()), or, when it is
  /// empty, none any more. Should the workers' parent not be able to load them, every object is
  /// inconclusive. An error: nothing is changed.
  Result<void> set_rules(Bytes compiled);

  /// Starts a process that reads Git's objects: see ObjectReader. `questions` is its end of a
  /// socket pair, `answers` the write end of a pipe; both are duplicated.
  Result<WorkerJob> submit_object_reader(int questions, int answers, std::size_t id_size,
                                         const Limits& limits);

  /// Starts a process that runs `service`. `questions` is its end of a pipe to read from, `answers`
  /// of one to write to; both are duplicated.
  Result<WorkerJob> submit_service(WorkerService service, int questions, int answers,
                                   const Limits& limits);

  FormatTable formats() const { return formats_; }

private:
  friend class WorkerJob;
  WorkerPool(Fd control, int pid, FormatTable formats, std::vector<WorkerService> services)
      : control_(std::move(control)), pid_(pid), formats_(formats), services_(std::move(services)) {
  }
  Result<WorkerJob> send(std::uint32_t kind, std::uint64_t size, const Limits& limits,
                         const std::vector<int>& fds);
  Result<void> send_message(const JobMessage& message, const std::vector<int>& fds);
  void kill(std::uint64_t id);

  std::mutex mutex_;
  Fd control_;
  int pid_;
  FormatTable formats_;
  std::vector<WorkerService> services_;
  std::uint64_t next_id_ = 1;
};

/// Decodes what a worker answers. Bounds everything; a malformed answer counts as a crash.
class AnswerReader {
public:
  /// `items`: how many reports are expected (1 unless a batch). `sink` (may be null) hears the
  /// findings, gaps and releases of item 0 as they come.
  explicit AnswerReader(std::size_t items = 1, ReportSink* sink = nullptr);

  /// Bytes from answer_fd(), cut anywhere.
  void feed(Bytes bytes);
  /// The answer ended (end of file on answer_fd()). Every item without a complete report gets a
  /// gap: crash, timeout, out-of-memory or unreadable, with what it had found so far kept.
  void end();
  /// True when all reports are complete: the result need not wait for the worker's exit.
  bool done() const { return done_ == reports_.size(); }
  bool done(std::size_t item) const { return finished_[item]; }
  /// Says that the worker was killed at a deadline, for end() to give the right reason.
  void set_killed(Reason reason) { killed_ = reason; }

  /// Whether the worker said that its sandbox is up, and what it complained of if it is not.
  bool ready() const { return ready_; }
  const std::string& complaint() const { return complaint_; }

  /// What the spool shall keep when it drops the rest; valid from on_rest_is_inert() on.
  const std::vector<KeptRange>& kept() const { return kept_; }

  std::vector<Report>& reports() { return reports_; }
  Report& report() { return reports_.front(); }

private:
  void frame(std::uint8_t type, std::uint32_t item, Bytes payload);

  std::vector<Report> reports_;
  std::vector<bool> finished_;
  std::size_t done_ = 0;
  ReportSink* sink_;
  std::vector<std::uint8_t> pending_;
  std::vector<KeptRange> kept_;
  std::optional<std::int32_t> wait_status_;
  std::optional<Reason> killed_;
  bool broken_ = false;
  bool ready_ = false;
  std::string complaint_;
};

/// Waits for the answer of a worker that scans one object. Never fails: what goes wrong is a gap.
Report wait_for_report(WorkerJob job, double deadline_seconds = 600);

/// Scans a complete file in a worker and waits. `deadline_seconds`: wall-clock limit, after which
/// the report has a timeout gap. Never fails: what goes wrong is a gap.
Report scan_file(WorkerPool& pool, int fd, std::uint64_t size, const Limits& limits,
                 double deadline_seconds = 600);

/// Analyses the code of a repository in a worker and waits; findings and gaps name their files.
/// Never fails: what goes wrong is a gap.
Report scan_repository(WorkerPool& pool, const python::BundleWriter& bundle, const Limits& limits,
                       double deadline_seconds = 600);

/// Scans the items of a batch; items whose shared worker died are tried again each in its own.
std::vector<Report> scan_batch(WorkerPool& pool, int fd, std::uint64_t size,
                               const std::vector<BatchItem>& items, const Limits& limits,
                               double deadline_seconds = 600);

} // namespace hubgate
