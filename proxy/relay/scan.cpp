#include "proxy/relay/scan.hpp"

#include <array>
#include <cerrno>
#include <unistd.h>

namespace hubgate::proxy {

namespace {
constexpr auto k_look = std::chrono::seconds(1);
constexpr std::size_t k_answer_read = 4096;
} // namespace

Scan::Scan(Loop& loop, Duration longest_silence)
    : loop_(loop), changed_(loop), answer_(1, this), longest_silence_(longest_silence) {}

Scan::~Scan() = default;

Result<std::shared_ptr<Scan>> Scan::start(Loop& loop, WorkerPool& pool,
                                          std::optional<std::uint64_t> size,
                                          const Spool::Options& options, Duration longest_silence) {
  std::shared_ptr<Scan> scan(new Scan(loop, longest_silence));
  scan->spool_ = HUBGATE_TRY(Spool::create(size, options));
  scan->job_ = HUBGATE_TRY(pool.submit(*scan->spool_, Limits{}));
  loop.spawn([scan] { return scan->listen(scan); });
  return scan;
}

Result<std::shared_ptr<Scan>> Scan::start(Loop& loop, WorkerPool& pool,
                                          const python::BundleWriter& bundle,
                                          Duration longest_silence) {
  std::shared_ptr<Scan> scan(new Scan(loop, longest_silence));
  scan->job_ = HUBGATE_TRY(pool.submit(bundle, Limits{}));
  loop.spawn([scan] { return scan->listen(scan); });
  return scan;
}

Task<void> Scan::listen(std::shared_ptr<Scan>) {
  {
    Readable readable(loop_, job_->answer_fd());
    std::array<std::uint8_t, k_answer_read> buffer;
    while (!answer_.done()) {
      const ssize_t n = ::read(job_->answer_fd(), buffer.data(), buffer.size());
      if (n > 0) {
        touch();
        answer_.feed({buffer.data(), static_cast<std::size_t>(n)});
        continue;
      }
      if (n == 0) break;
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) break;
      const bool ready = co_await readable.wait();
      if (!ready) break;
    }
  }
  if (!answer_.done()) answer_.end();
  finish();
}

void Scan::finish() {
  final_ = std::move(answer_.report());
  done_ = true;
  ++revision_;
  job_.reset();
  changed_.notify();
}

void Scan::kill(Reason reason) {
  if (done_ || !job_) return;
  answer_.set_killed(reason);
  job_->kill();
}

Task<void> Scan::wait_done() {
  const auto self = shared_from_this();
  while (!done_) {
    co_await changed_.wait(k_look);
    if (!done_ && Clock::now() - last_sign_ > longest_silence_) {
      kill(Reason::timeout);
      touch();
    }
  }
}

void Scan::on_finding(const Finding& finding) {
  live_.findings.push_back(finding);
  ++revision_;
  changed_.notify();
}

void Scan::on_gap(const Gap& gap) {
  live_.gaps.push_back(gap);
  ++revision_;
  changed_.notify();
}

void Scan::on_release(std::uint64_t offset) {
  if (offset <= released_) return;
  released_ = offset;
  changed_.notify();
}

void Scan::on_rest_is_inert(std::uint64_t) {
  inert_ = true;
  if (spool_) spool_->drop_rest(answer_.kept());
  changed_.notify();
}

Task<Report> scan_bytes(Loop& loop, WorkerPool& pool, Bytes bytes, const std::string& directory,
                        Duration longest_silence) {
  Spool::Options options;
  options.directory = directory;
  auto started = Scan::start(loop, pool, bytes.size(), options, longest_silence);
  if (!started) {
    Report failed;
    failed.size = bytes.size();
    failed.gaps.push_back(Gap{Reason::crash, Reach::load, "", 0, started.error().message});
    co_return failed;
  }
  const std::shared_ptr<Scan> scan = *started;
  const Result<void> stored = scan->spool().append(bytes);
  if (stored)
    scan->spool().finish();
  else
    scan->spool().cut();
  co_await scan->wait_done();
  co_return scan->report();
}

Task<Report> scan_code(Loop& loop, WorkerPool& pool, const python::BundleWriter& bundle,
                       Duration longest_silence) {
  auto started = Scan::start(loop, pool, bundle, longest_silence);
  if (!started) {
    Report failed;
    failed.gaps.push_back(Gap{Reason::crash, Reach::load, "", 0, started.error().message});
    co_return failed;
  }
  const std::shared_ptr<Scan> scan = *started;
  co_await scan->wait_done();
  Report report = scan->report();
  bundle.name_files(report);
  co_return report;
}

} // namespace hubgate::proxy
