#include "scanner/worker/parent.hpp"

#include "scanner/code/python/repository.hpp"
#include "scanner/core/session.hpp"
#include "scanner/worker/frames.hpp"
#include "scanner/worker/object_service.hpp"
#include "scanner/worker/sandbox.hpp"
#include "scanner/worker/worker.hpp"
#include "scanner/yara/yara.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>

namespace hubgate {
namespace {

// Descriptors of a worker: answer, then its sources.
constexpr int k_answer = 3;
constexpr int k_first_source = 4;

bool write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// Where frames go; nobody listening any more ends the worker. Held back, they are written in
// portions: what a worker that dies had not written yet is scanned again, as is all of a batch that
// is not finished.
class Answers {
public:
  enum class Hold { no, yes };
  explicit Answers(Hold hold) : hold_(hold) {}
  void put(const std::vector<std::uint8_t>& frame) {
    if (hold_ == Hold::no) return write(frame);
    held_.insert(held_.end(), frame.begin(), frame.end());
    if (held_.size() >= k_portion) flush();
  }
  void flush() {
    write(held_);
    held_.clear();
  }

private:
  static constexpr std::size_t k_portion = std::size_t{8} << 10;
  static void write(Bytes bytes) {
    if (!write_all(k_answer, bytes)) _exit(0);
  }
  Hold hold_;
  std::vector<std::uint8_t> held_;
};

class FrameSink final : public ReportSink {
public:
  /// `keeper`: the source of an object that somebody passes on meanwhile and who waits for
  /// releases; null otherwise.
  FrameSink(std::uint32_t item, const KeepingSource* keeper, Answers& answers)
      : item_(item), keeper_(keeper), answers_(answers) {}
  void on_finding(const Finding& finding) override { send(frames::encode(item_, finding)); }
  void on_gap(const Gap& gap) override { send(frames::encode(item_, gap)); }
  void on_reference(const Reference& reference) override { send(frames::encode(item_, reference)); }
  void on_listing(const Listing& listing) override { send(frames::encode(item_, listing)); }
  void on_release(std::uint64_t offset) override {
    if (keeper_ != nullptr) send(frames::Writer(frames::Type::release, item_).u64(offset).bytes());
  }
  void on_rest_is_inert(std::uint64_t from) override {
    frames::Writer frame(frames::Type::inert, item_);
    frame.u64(from);
    if (keeper_ != nullptr)
      for (const KeptRange& range: keeper_->kept())
        frame.u64(range.begin).u64(range.length);
    send(frame.bytes());
  }
  void done(const Report& report) {
    frames::Writer frame(frames::Type::done, item_);
    frame.u64(report.size).u64(report.dropped);
    for (const char c: report.format)
      frame.u8(static_cast<std::uint8_t>(c));
    send(frame.bytes());
  }

private:
  void send(const std::vector<std::uint8_t>& bytes) { answers_.put(bytes); }
  std::uint32_t item_;
  const KeepingSource* keeper_;
  Answers& answers_;
};

/// What every worker of a job inherits.
struct Means {
  FormatTable formats;
  StreamInspector* inspector; ///< may be null
  std::span<const WorkerService> services;
};

void scan_whole(const Means& means, Source& source, const Limits& limits, std::uint32_t item,
                const KeepingSource* keeper, Answers& answers) {
  FrameSink sink(item, keeper, answers);
  sink.done(scan_object(means.formats, source, limits, &sink, means.inspector));
}

[[noreturn]] void run_worker(const JobMessage& message, const Means& means) {
  std::set_new_handler([] { throw std::bad_alloc(); });
  const SandboxFor purpose =
      message.kind == JobMessage::k_objects ? SandboxFor::object_reader : SandboxFor::scan;
  const std::string complaint =
      enter_sandbox(message.limits, means.inspector == nullptr ? 0 : yara::k_seconds_max, purpose);
  frames::Writer ready(frames::Type::ready, 0);
  for (const char c: complaint.substr(0, 200))
    ready.u8(static_cast<std::uint8_t>(c));
  if (!write_all(k_answer, ready.bytes()) || !complaint.empty()) _exit(1);
  Answers answers(Answers::Hold::no);
  try {
    if (message.kind == JobMessage::k_spool) {
      auto source = ArrivingSource::from_spool(Fd(k_first_source), Fd(k_first_source + 1),
                                               Fd(k_first_source + 2));
      if (!source) _exit(1);
      scan_whole(means, **source, message.limits, 0, source->get(), answers);
    } else if (message.kind == JobMessage::k_file) {
      auto source = ArrivingSource::from_file(Fd(k_first_source), message.size);
      scan_whole(means, *source, message.limits, 0, nullptr, answers);
    } else if (message.kind == JobMessage::k_objects) {
      serve_objects(k_first_source, k_first_source + 1, static_cast<std::size_t>(message.size));
    } else if (message.kind == JobMessage::k_service) {
      if (message.size < means.services.size())
        means.services[static_cast<std::size_t>(message.size)](k_first_source, k_first_source + 1);
    } else if (message.kind == JobMessage::k_repository) {
      // The gate wrote this one: nothing that comes from outside is ever read as a bundle.
      auto source = ArrivingSource::from_file(Fd(k_first_source), message.size);
      const std::array<const Format*, 1> only{&python::format_repository};
      // The rules see each of its files by itself.
      scan_whole({only, nullptr}, *source, message.limits, 0, nullptr, answers);
    } else {
      auto source = ArrivingSource::from_file(Fd(k_first_source), message.size);
      std::vector<BatchItem> items;
      for (BatchItem item; read(k_first_source + 1, &item, sizeof item) == sizeof item;)
        items.push_back(item);
      // An item that is alone may be the one that others died of: what it had found counts.
      Answers portions(items.size() > 1 ? Answers::Hold::yes : Answers::Hold::no);
      for (std::size_t i = 0; i < items.size(); ++i) {
        SubSource part(*source, items[i].offset, items[i].length);
        scan_whole(means, part, message.limits, static_cast<std::uint32_t>(i), nullptr, portions);
      }
      portions.flush();
    }
  } catch (const std::bad_alloc&) {
    _exit(k_exit_out_of_memory);
  }
  _exit(0);
}

// Between fork and the sandbox: keep the job's descriptors, drop all others.
[[noreturn]] void become_worker(const JobMessage& message, const std::vector<int>& fds,
                                const Means& means, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGBUS, SIG_DFL); // a shrunken file: how we die tells the gate (sanitizers catch it)
  // First out of the way of the numbers that they shall get.
  std::vector<int> high;
  for (const int fd: fds)
    high.push_back(fcntl(fd, F_DUPFD, 64));
  for (std::size_t i = 0; i < high.size(); ++i)
    dup2(high[i], k_answer + static_cast<int>(i));
  close_range(static_cast<unsigned>(k_answer) + static_cast<unsigned>(fds.size()), ~0u, 0);
  run_worker(message, means);
}

struct Child {
  std::uint64_t id;
  int answer; ///< kept to announce the exit on it
};

std::vector<int> received_fds(msghdr& header) {
  std::vector<int> out;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      out.push_back(fd);
    }
  }
  return out;
}

// Announces the exits of workers. The pipe may be full while nobody reads: such ones wait here.
class Exits {
public:
  void add(int answer, int status) {
    frames::Writer frame(frames::Type::exit, 0);
    frame.u64(static_cast<std::uint32_t>(status));
    waiting_.push_back({answer, frame.bytes()});
    flush();
  }
  bool empty() const { return waiting_.empty(); }
  void flush() {
    std::erase_if(waiting_, [](const Waiting& one) {
      pollfd ready{one.answer, POLLOUT, 0};
      if (poll(&ready, 1, 0) == 0) return false;
      (void)write_all(one.answer, one.frame);
      close(one.answer);
      return true;
    });
  }

private:
  struct Waiting {
    int answer;
    std::vector<std::uint8_t> frame;
  };
  std::vector<Waiting> waiting_;
};

// Rules that the gate compiled; in their place, if they can't be had, what fails every object.
std::unique_ptr<StreamInspector> load_rules(int fd, std::uint64_t size) {
  const auto n = static_cast<std::size_t>(size);
  void* const map = fd < 0 ? MAP_FAILED : mmap(nullptr, n, PROT_READ, MAP_PRIVATE, fd, 0);
  std::unique_ptr<StreamInspector> out;
  if (map != MAP_FAILED) {
    out = yara::Rules::load({static_cast<const std::uint8_t*>(map), n});
    munmap(map, n);
  }
  if (!out) out = std::make_unique<yara::NoRules>();
  return out;
}

} // namespace

void run_worker_parent(int control, FormatTable formats, std::span<const WorkerService> services) {
  prctl(PR_SET_NAME, "hubgate-workers");
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN); // a terminal's ^C is for the gate, which then closes `control`
  signal(SIGTERM, SIG_IGN);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  const int child_signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  const pid_t self = getpid();
  std::map<pid_t, Child> children;
  Exits exits;
  std::unique_ptr<StreamInspector> inspector;

  for (;;) {
    std::array<pollfd, 2> ready{{{control, POLLIN, 0}, {child_signals, POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), exits.empty() ? -1 : 50) < 0 && errno != EINTR) break;
    exits.flush();

    if (ready[1].revents != 0) {
      signalfd_siginfo info{};
      while (read(child_signals, &info, sizeof info) > 0) {
      }
      int status = 0;
      for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        const auto child = children.find(pid);
        if (child == children.end()) continue;
        exits.add(child->second.answer, status);
        children.erase(child);
      }
    }
    if (ready[0].revents == 0) continue;

    JobMessage message;
    std::array<std::uint8_t, CMSG_SPACE(sizeof(int) * k_max_job_fds)> space{};
    iovec part{&message, sizeof message};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = space.data();
    header.msg_controllen = space.size();
    const ssize_t n = recvmsg(control, &header, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break; // the gate is gone
    std::vector<int> fds = received_fds(header);
    if (n == sizeof message && message.kind == JobMessage::k_kill) {
      for (const auto& [pid, child]: children)
        if (child.id == message.id) ::kill(pid, SIGKILL);
    } else if (n == sizeof message && message.kind == JobMessage::k_rules) {
      inspector.reset(); // libyara's own memory first
      if (message.size != 0) inspector = load_rules(fds.empty() ? -1 : fds[0], message.size);
    } else if (n == sizeof message && fds.size() >= 2) {
      const pid_t pid = fork();
      if (pid == 0) become_worker(message, fds, {formats, inspector.get(), services}, self);
      if (pid > 0) {
        children[pid] = {message.id, fds[0]};
        fds.erase(fds.begin()); // stays open until the exit is announced
      }
    }
    for (const int fd: fds)
      close(fd);
  }
  for (const auto& [pid, child]: children)
    ::kill(pid, SIGKILL);
  // Reaped here, their CPU time counts as the gate's in whatever measures it.
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  _exit(0);
}

} // namespace hubgate
