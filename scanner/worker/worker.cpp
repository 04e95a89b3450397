// The gate's side of isolation: the parent of the workers is forked here, jobs are sent to it.
#include "scanner/worker/worker.hpp"

#include "scanner/code/behaviour/behaviour.hpp"
#include "scanner/gitstore/oid.hpp"
#include "scanner/worker/frames.hpp"
#include "scanner/worker/parent.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

namespace hubgate {
namespace {

Error system_error(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

double wall_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A read-only descriptor of its own for the worker: what it does to its offset or mode is its own.
Fd reopen_read_only(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// The bytes in a file of memory, open for reading only.
Result<Fd> memory_file(const char* name, Bytes bytes) {
  const Fd memory(memfd_create(name, MFD_CLOEXEC));
  if (!memory) return system_error(name);
  while (!bytes.empty()) {
    const ssize_t n = write(memory.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error(name);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  Fd read_only = reopen_read_only(memory.get());
  if (!read_only) return system_error(name);
  return read_only;
}

void drain(WorkerJob& job, AnswerReader& reader, double deadline, bool until_exit) {
  std::array<std::uint8_t, 16384> buffer{};
  while (until_exit || !reader.done()) {
    const double left = deadline - wall_now();
    if (left <= 0) {
      reader.set_killed(Reason::timeout);
      job.kill();
      break;
    }
    pollfd ready{job.answer_fd(), POLLIN, 0};
    const int n = poll(&ready, 1, static_cast<int>(std::min(left, 3600.0) * 1000) + 1);
    if (n < 0 && errno != EINTR) break;
    if (n <= 0) continue;
    const ssize_t got = read(job.answer_fd(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) break;
    reader.feed(Bytes(buffer).first(static_cast<std::size_t>(got)));
  }
  reader.end();
}

} // namespace

WorkerJob::WorkerJob(WorkerJob&& other) noexcept
    : pool_(other.pool_), id_(other.id_), answer_(std::move(other.answer_)) {
  other.pool_ = nullptr;
}

WorkerJob& WorkerJob::operator=(WorkerJob&& other) noexcept {
  if (this != &other) {
    kill();
    pool_ = other.pool_;
    id_ = other.id_;
    answer_ = std::move(other.answer_);
    other.pool_ = nullptr;
  }
  return *this;
}

WorkerJob::~WorkerJob() {
  kill();
}

void WorkerJob::kill() {
  if (pool_ != nullptr) pool_->kill(id_);
  pool_ = nullptr;
}

Result<std::unique_ptr<WorkerPool>> WorkerPool::start(FormatTable formats,
                                                      std::vector<WorkerService> services) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return system_error("worker control");
  Fd ours(pair[0]);
  Fd theirs(pair[1]);
  // Built once, for us and every worker. Without formats nothing is scanned.
  if (!formats.empty()) (void)behaviour::builtin_rules();
  // OpenSSL sets itself up at the first hash, with calls that no sandbox allows.
  for (const std::size_t id_size: {git::Oid::k_sha1, git::Oid::k_sha256})
    (void)git::ObjectHasher(id_size).of(git::Kind::blob, {});
  const pid_t pid = fork();
  if (pid < 0) return system_error("fork of the workers' parent");
  if (pid == 0) {
    ours.reset();
    run_worker_parent(theirs.release(), formats, services);
  }
  theirs.reset();
  std::unique_ptr<WorkerPool> pool(
      new WorkerPool(std::move(ours), pid, formats, std::move(services)));

  // Self-test: a worker that can't lock itself in must stop us now, not at the first object.
  Fd probe(memfd_create("hubgate-self-test", MFD_CLOEXEC));
  if (!probe || write(probe.get(), "\n", 1) != 1) return system_error("worker self-test");
  auto job = pool->submit(probe.get(), 1, Limits{});
  if (!job) return job.error();
  AnswerReader reader;
  drain(*job, reader, wall_now() + 20, /*until_exit=*/false);
  if (!reader.ready())
    return Error{"the sandbox of the workers can't be set up: " +
                 (reader.complaint().empty() ? "the worker died" : reader.complaint())};
  return pool;
}

WorkerPool::~WorkerPool() {
  control_.reset(); // the parent ends, and its workers with it
  waitpid(pid_, nullptr, 0);
}

Result<WorkerJob> WorkerPool::send(std::uint32_t kind, std::uint64_t size, const Limits& limits,
                                   const std::vector<int>& fds) {
  std::array<int, 2> answer{};
  if (pipe2(answer.data(), O_CLOEXEC) != 0) return system_error("worker answer");
  WorkerJob job;
  job.answer_ = Fd(answer[0]);
  Fd answer_end(answer[1]);
  fcntl(answer[0], F_SETFL, O_NONBLOCK);

  JobMessage message;
  message.kind = kind;
  message.size = size;
  message.limits = limits;
  std::vector<int> all = {answer_end.get()};
  all.insert(all.end(), fds.begin(), fds.end());
  const std::lock_guard lock(mutex_);
  message.id = next_id_++;
  if (const auto sent = send_message(message, all); !sent) return sent.error();
  job.pool_ = this;
  job.id_ = message.id;
  return job;
}

// With mutex_ held.
Result<void> WorkerPool::send_message(const JobMessage& message, const std::vector<int>& fds) {
  std::array<std::uint8_t, CMSG_SPACE(sizeof(int) * k_max_job_fds)> control{};
  iovec part{const_cast<JobMessage*>(&message), sizeof message};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  if (sendmsg(control_.get(), &header, MSG_NOSIGNAL) < 0)
    return system_error("the workers' parent is gone");
  return {};
}

Result<void> WorkerPool::set_rules(Bytes compiled) {
  JobMessage message;
  message.kind = JobMessage::k_rules;
  message.size = compiled.size();
  Fd memory;
  std::vector<int> fds;
  if (!compiled.empty()) {
    memory = HUBGATE_TRY(memory_file("hubgate-rules", compiled));
    fds.push_back(memory.get());
  }
  const std::lock_guard lock(mutex_);
  return send_message(message, fds);
}

void WorkerPool::kill(std::uint64_t id) {
  JobMessage message;
  message.kind = JobMessage::k_kill;
  message.id = id;
  const std::lock_guard lock(mutex_);
  // Failing means that the parent and so the worker are gone.
  (void)::send(control_.get(), &message, sizeof message, MSG_NOSIGNAL);
}

Result<WorkerJob> WorkerPool::submit(const Spool& spool, const Limits& limits) {
  Fd memory = reopen_read_only(spool.memory_fd());
  Fd disk = reopen_read_only(spool.disk_fd());
  Fd state = reopen_read_only(spool.state_fd());
  if (!memory || !disk || !state) return system_error("reopening the spool");
  return send(JobMessage::k_spool, 0, limits, {memory.get(), disk.get(), state.get()});
}

Result<WorkerJob> WorkerPool::submit(int fd, std::uint64_t size, const Limits& limits) {
  return send(JobMessage::k_file, size, limits, {fd});
}

Result<WorkerJob> WorkerPool::submit(int fd, std::uint64_t size,
                                     const std::vector<BatchItem>& items, const Limits& limits) {
  Fd list(memfd_create("hubgate-batch", MFD_CLOEXEC));
  const std::size_t bytes = items.size() * sizeof(BatchItem);
  if (!list || write(list.get(), items.data(), bytes) != static_cast<ssize_t>(bytes))
    return system_error("batch list");
  Fd read_only = reopen_read_only(list.get());
  if (!read_only) return system_error("batch list");
  return send(JobMessage::k_batch, size, limits, {fd, read_only.get()});
}

Result<WorkerJob> WorkerPool::submit(const python::BundleWriter& bundle, const Limits& limits) {
  const Fd memory = HUBGATE_TRY(memory_file("hubgate-repository", as_bytes(bundle.bytes())));
  return submit_bundle(memory.get(), bundle.bytes().size(), limits);
}

Result<WorkerJob> WorkerPool::submit_bundle(int fd, std::uint64_t size, const Limits& limits) {
  const Fd read_only = reopen_read_only(fd);
  if (!read_only) return system_error("the code of a repository");
  return send(JobMessage::k_repository, size, limits, {read_only.get()});
}

Result<WorkerJob> WorkerPool::submit_object_reader(int questions, int answers, std::size_t id_size,
                                                   const Limits& limits) {
  return send(JobMessage::k_objects, id_size, limits, {questions, answers});
}

Result<WorkerJob> WorkerPool::submit_service(WorkerService service, int questions, int answers,
                                             const Limits& limits) {
  const auto at = std::find(services_.begin(), services_.end(), service);
  if (at == services_.end()) return Error{"the workers were started without this service"};
  return send(JobMessage::k_service, static_cast<std::uint64_t>(at - services_.begin()), limits,
              {questions, answers});
}

AnswerReader::AnswerReader(std::size_t items, ReportSink* sink)
    : reports_(items), finished_(items, false), sink_(sink) {}

void AnswerReader::feed(Bytes bytes) {
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  std::size_t at = 0;
  while (!broken_ && pending_.size() - at >= 4) {
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < 4; ++i)
      length |= std::uint32_t{pending_[at + i]} << (8 * i);
    if (length < 5 || length > frames::k_max_frame) {
      broken_ = true;
      break;
    }
    if (pending_.size() - at - 4 < length) break;
    std::uint32_t item = 0;
    for (std::size_t i = 0; i < 4; ++i)
      item |= std::uint32_t{pending_[at + 5 + i]} << (8 * i);
    frame(pending_[at + 4], item, Bytes(pending_).subspan(at + 9, length - 5));
    at += 4 + length;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
}

void AnswerReader::frame(std::uint8_t type, std::uint32_t item, Bytes payload) {
  using frames::Type;
  const auto u64_at = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8 && at + i < payload.size(); ++i)
      value |= std::uint64_t{payload[at + i]} << (8 * i);
    return value;
  };
  if (type == static_cast<std::uint8_t>(Type::exit)) {
    wait_status_ = static_cast<std::int32_t>(u64_at(0) & 0xffffffffu);
    return;
  }
  if (type == static_cast<std::uint8_t>(Type::ready)) {
    ready_ = payload.empty();
    complaint_ = std::string(as_text(payload));
    return;
  }
  // A worker speaks of its own items only, and of none that it has finished.
  if (item >= reports_.size() || finished_[item]) {
    broken_ = true;
    return;
  }
  Report& report = reports_[item];
  ReportSink* sink = item == 0 ? sink_ : nullptr;
  // Worse findings take the places of milder ones: each place may be filled once a severity.
  const std::size_t most = std::size_t{3} * Limits{}.findings;
  switch (static_cast<Type>(type)) {
  case Type::finding: {
    auto finding = frames::decode_finding(payload);
    if (!finding || report.findings.size() > most) {
      broken_ = true;
      return;
    }
    if (sink != nullptr) sink->on_finding(*finding);
    report.findings.push_back(std::move(*finding));
    return;
  }
  case Type::gap: {
    auto gap = frames::decode_gap(payload);
    if (!gap || report.gaps.size() > most) {
      broken_ = true;
      return;
    }
    if (sink != nullptr) sink->on_gap(*gap);
    report.gaps.push_back(std::move(*gap));
    return;
  }
  case Type::reference: {
    auto reference = frames::decode_reference(payload);
    if (!reference || report.references.size() > k_max_references) {
      broken_ = true;
      return;
    }
    if (sink != nullptr) sink->on_reference(*reference);
    report.references.push_back(std::move(*reference));
    return;
  }
  case Type::listing: {
    const auto listing = frames::decode_listing(payload);
    if (!listing) {
      broken_ = true;
      return;
    }
    if (sink != nullptr) sink->on_listing(*listing);
    return;
  }
  case Type::release:
    if (sink != nullptr) sink->on_release(u64_at(0));
    return;
  case Type::inert: {
    constexpr std::size_t k_range = 16;
    const std::size_t ranges = payload.size() < 8 ? 0 : (payload.size() - 8) / k_range;
    if (payload.size() != 8 + ranges * k_range || ranges > k_max_kept) {
      broken_ = true;
      return;
    }
    kept_.clear();
    for (std::size_t i = 0; i < ranges; ++i) {
      const KeptRange range{u64_at(8 + i * k_range), u64_at(16 + i * k_range)};
      if (range.length > k_max_kept_length || range.begin > ~std::uint64_t{0} - range.length) {
        broken_ = true;
        return;
      }
      kept_.push_back(range);
    }
    if (sink != nullptr) sink->on_rest_is_inert(u64_at(0));
    return;
  }
  case Type::done: {
    if (payload.size() < 16 || payload.size() > 16 + 64) {
      broken_ = true;
      return;
    }
    report.size = u64_at(0);
    report.dropped = u64_at(8);
    report.format = std::string(as_text(payload.subspan(16)));
    finished_[item] = true;
    ++done_;
    return;
  }
  case Type::exit:
  case Type::ready:
    return;
  }
  broken_ = true;
}

void AnswerReader::end() {
  if (done() && !broken_) return;
  Reason reason = Reason::crash;
  std::string detail = "the worker gave no complete answer";
  if (killed_) {
    reason = *killed_;
    detail = "the worker was stopped at its deadline";
  } else if (wait_status_ && WIFSIGNALED(*wait_status_)) {
    const int signal = WTERMSIG(*wait_status_);
    if (signal == SIGXCPU || signal == SIGKILL) {
      reason = Reason::timeout;
      detail = "the worker overran its CPU time";
    } else if (signal == SIGBUS) {
      reason = Reason::unreadable;
      detail = "the object shrank or could not be read";
    } else {
      detail = "the worker died of signal " + std::to_string(signal);
    }
  } else if (wait_status_ && WIFEXITED(*wait_status_) &&
             WEXITSTATUS(*wait_status_) == k_exit_out_of_memory) {
    reason = Reason::out_of_memory;
    detail = "the worker ran out of memory";
  }
  for (std::size_t i = 0; i < reports_.size(); ++i) {
    if (finished_[i] && !broken_) continue;
    if (finished_[i]) {
      // A worker that broke the protocol is believed in nothing that it called finished.
      finished_[i] = false;
      --done_;
    }
    reports_[i].gaps.push_back(Gap{reason, Reach::load, "", 0, detail});
  }
}

Report wait_for_report(WorkerJob job, double deadline_seconds) {
  AnswerReader reader;
  drain(job, reader, wall_now() + deadline_seconds, /*until_exit=*/false);
  return std::move(reader.report());
}

Report scan_file(WorkerPool& pool, int fd, std::uint64_t size, const Limits& limits,
                 double deadline_seconds) {
  auto job = pool.submit(fd, size, limits);
  if (!job) {
    Report report;
    report.gaps.push_back(
        Gap{Reason::crash, Reach::load, "", 0, "no worker: " + job.error().message});
    return report;
  }
  Report report = wait_for_report(std::move(*job), deadline_seconds);
  report.size = size;
  return report;
}

Report scan_repository(WorkerPool& pool, const python::BundleWriter& bundle, const Limits& limits,
                       double deadline_seconds) {
  auto job = pool.submit(bundle, limits);
  if (!job) {
    Report report;
    report.gaps.push_back(
        Gap{Reason::crash, Reach::load, "", 0, "no worker: " + job.error().message});
    return report;
  }
  Report report = wait_for_report(std::move(*job), deadline_seconds);
  bundle.name_files(report);
  return report;
}

std::vector<Report> scan_batch(WorkerPool& pool, int fd, std::uint64_t size,
                               const std::vector<BatchItem>& items, const Limits& limits,
                               double deadline_seconds) {
  AnswerReader reader(items.size());
  const double deadline = wall_now() + deadline_seconds;
  if (auto job = pool.submit(fd, size, items, limits); job)
    drain(*job, reader, deadline, /*until_exit=*/false);
  else
    reader.end();
  std::vector<Report> reports = std::move(reader.reports());
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (reader.done(i)) continue;
    // Whoever shared the worker with the culprit gets a worker of its own.
    AnswerReader alone;
    if (auto job = pool.submit(fd, size, {items[i]}, limits); job)
      drain(*job, alone, deadline, /*until_exit=*/false);
    else
      alone.end();
    reports[i] = std::move(alone.report());
  }
  return reports;
}

} // namespace hubgate
