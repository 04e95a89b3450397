#pragma once
// Scan: one object in a worker while it arrives. The owner appends bytes; findings, gaps and the
// release offset come back on the same loop.
#include "proxy/net/loop.hpp"
#include "scanner/worker/worker.hpp"

#include <memory>

namespace hubgate::proxy {

class Scan final : public ReportSink, public std::enable_shared_from_this<Scan> {
public:
  /// Starts a worker. `longest_silence`: a worker that says nothing for that long after the last
  /// byte came (or, before, after the last append) is killed, and the object is inconclusive.
  static Result<std::shared_ptr<Scan>> start(Loop& loop, WorkerPool& pool,
                                             std::optional<std::uint64_t> size,
                                             const Spool::Options& options,
                                             Duration longest_silence);
  /// Starts one on the code of a repository, which needs no spool.
  static Result<std::shared_ptr<Scan>>
  start(Loop& loop, WorkerPool& pool, const python::BundleWriter& bundle, Duration longest_silence);
  ~Scan() override;

  Spool& spool() { return *spool_; }
  /// Bytes come: the worker has reason to be silent no longer.
  void touch() { last_sign_ = Clock::now(); }

  /// What is known so far; complete once done().
  const Report& report() const { return done_ ? final_ : live_; }
  /// Grows with every finding and gap.
  std::uint64_t revision() const { return revision_; }
  std::uint64_t released() const { return released_; }
  bool inert() const { return inert_; }
  bool done() const { return done_; }
  /// Notified on all of these.
  Event& changed() { return changed_; }

  /// Ends the worker; done() soon, with a gap of this reason.
  void kill(Reason reason);
  Task<void> wait_done();

  void on_finding(const Finding& finding) override;
  void on_gap(const Gap& gap) override;
  void on_release(std::uint64_t offset) override;
  void on_rest_is_inert(std::uint64_t from) override;

private:
  Scan(Loop& loop, Duration longest_silence);
  Task<void> listen(std::shared_ptr<Scan> self); ///< holds itself
  void finish();

  Loop& loop_;
  Event changed_;
  std::unique_ptr<Spool> spool_;
  std::optional<WorkerJob> job_;
  AnswerReader answer_;
  Duration longest_silence_;
  TimePoint last_sign_ = Clock::now();
  Report live_;
  Report final_;
  std::uint64_t revision_ = 0;
  std::uint64_t released_ = 0;
  bool inert_ = false;
  bool done_ = false;
};

/// Scans bytes that are all here.
Task<Report> scan_bytes(Loop& loop, WorkerPool& pool, Bytes bytes, const std::string& directory,
                        Duration longest_silence);

/// Analyses the code of a repository together; findings and gaps name their files. `bundle` lives
/// until it is done.
Task<Report> scan_code(Loop& loop, WorkerPool& pool, const python::BundleWriter& bundle,
                       Duration longest_silence);

} // namespace hubgate::proxy
