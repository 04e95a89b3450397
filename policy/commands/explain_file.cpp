// `hubgate explain PATH`: a file or a directory, scanned in workers that show what they recover.
#include "policy/commands/explain_output.hpp"
#include "policy/commands/scan_tree.hpp"
#include "policy/commands/verb.hpp"
#include "policy/yara_rules.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/listings.hpp"
#include "scanner/worker/worker.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hubgate {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t k_most_lines = 1'000'000;
constexpr auto k_deadline = std::chrono::minutes(20);
/// Making lines is no reason to give a file up that a scan reads to its end.
constexpr double k_cpu_seconds = 600;

class Collector final : public ReportSink {
public:
  explicit Collector(std::vector<Listing>& out) : out_(out) {}
  void on_finding(const Finding&) override {}
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t) override {}
  void on_rest_is_inert(std::uint64_t) override {}
  void on_listing(const Listing& listing) override {
    // A worker that was taken over is not believed in how much it shows. Of each of three stages,
    // and a marker for each line at most.
    if (out_.size() < std::size_t{6} * k_most_lines) out_.push_back(listing);
  }

private:
  std::vector<Listing>& out_;
};

// The worker's answer while it comes; ends it at the deadline.
Report listen(WorkerJob job, std::vector<Listing>& listings) {
  Collector collector(listings);
  AnswerReader reader(1, &collector);
  const auto deadline = std::chrono::steady_clock::now() + k_deadline;
  std::vector<std::uint8_t> buffer(std::size_t{64} << 10);
  while (!reader.done()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      reader.set_killed(Reason::timeout);
      job.kill();
      break;
    }
    pollfd ready{job.answer_fd(), POLLIN, 0};
    const int n = poll(&ready, 1, static_cast<int>(left.count()));
    if (n < 0 && errno != EINTR) break;
    if (n <= 0) continue;
    const ssize_t got = read(job.answer_fd(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) break;
    reader.feed(Bytes(buffer).first(static_cast<std::size_t>(got)));
  }
  reader.end();
  return std::move(reader.report());
}

std::string hash_of(int fd) {
  BlockHasher hasher;
  std::vector<std::uint8_t> buffer(std::size_t{256} << 10);
  for (;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(hasher.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    hasher.update(Bytes(buffer).first(static_cast<std::size_t>(n)));
  }
  return hex(hasher.finish().sha256);
}

Explained explain_file(WorkerPool& pool, const std::string& path, const Limits& limits) {
  Explained out;
  ScanResult& result = out.result;
  result.path = path;
  struct stat info{};
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd || fstat(fd.get(), &info) != 0) {
    result.error = std::strerror(errno);
  } else if (!S_ISREG(info.st_mode)) {
    result.error = "not a regular file";
  } else {
    result.size = static_cast<std::uint64_t>(info.st_size);
    auto job = pool.submit(fd.get(), result.size, limits);
    if (job) {
      result.report = listen(std::move(*job), out.listings);
      result.sha256 = hash_of(fd.get());
    } else {
      result.error = job.error().message;
    }
    result.report.size = result.size;
  }
  if (!result.error.empty())
    result.report.gaps.push_back(
        Gap{Reason::unreadable, Reach::load, "", 0, printable(result.error)});
  result.verdict = verdict_of(result.report, path);
  return out;
}

class Explanation {
public:
  Explanation(WorkerPool& pool, const ExplainPath& options) : pool_(pool), options_(options) {
    limits_.listings = options.lines == 0 ? k_most_lines : std::min(options.lines, k_most_lines);
    if (options.all) limits_.listings |= k_list_all;
    limits_.cpu_seconds = k_cpu_seconds;
    style_.stage = options.stage;
    style_.all = options.all;
    style_.colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == nullptr;
  }

  void file() { show(explain_file(pool_, options_.path, limits_)); }

  // Links are not followed, as in `hubgate scan`.
  void directory() {
    ScannedTree tree(options_.path);
    std::vector<fs::path> files;
    std::error_code failure;
    fs::recursive_directory_iterator at(options_.path, failure);
    for (const auto end = fs::recursive_directory_iterator(); !failure && at != end;
         at.increment(failure)) {
      if (at->is_symlink(failure))
        tree.add_link(at->path().string(), fs::read_symlink(at->path(), failure).string());
      else if (at->is_regular_file(failure))
        files.push_back(at->path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& path: files) {
      Explained explained = explain_file(pool_, path.string(), limits_);
      if (options_.all || explained.result.verdict.kind != VerdictKind::clean) show(explained);
      const bool executable =
          (fs::status(path, failure).permissions() & fs::perms::owner_exec) != fs::perms::none;
      tree.add(std::move(explained.result), executable ? FileMode::executable : FileMode::regular);
    }
    Explained together;
    together.result = tree.judge(pool_, std::nullopt);
    if (failure) partly_ = true;
    show(together);
  }

  int exit_code() const { return found_ ? exit_found : partly_ ? exit_error : exit_ok; }

private:
  void show(const Explained& explained) {
    count(explained.result.verdict);
    if (options_.format == "json") {
      explain_as_json(std::cout, explained, style_);
      return;
    }
    if (shown_++ != 0) std::cout << "\n";
    explain_as_text(std::cout, explained, style_);
  }
  void count(const Verdict& verdict) {
    found_ = found_ || verdict.kind >= VerdictKind::suspicious;
    partly_ = partly_ || verdict.inconclusive;
  }

  WorkerPool& pool_;
  const ExplainPath& options_;
  Limits limits_;
  ExplainStyle style_;
  std::size_t shown_ = 0;
  bool found_ = false;
  bool partly_ = false;
};

} // namespace

int explain_path(const ExplainPath& options) {
  auto pool = WorkerPool::start(all_formats());
  if (!pool) return complain(pool.error().message, exit_error);
  if (!options.policy.empty()) {
    const auto policy = Policy::named(options.policy);
    if (!policy) return complain(policy.error().message, exit_usage);
    if (const auto given = give_rules(**pool, *policy); !given)
      return complain(given.error().message, exit_error);
  }
  Explanation explanation(**pool, options);
  struct stat info{};
  if (stat(options.path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    explanation.directory();
  else
    explanation.file();
  std::cout.flush();
  if (!std::cout) return complain("can't write the result", exit_error);
  return explanation.exit_code();
}

} // namespace hubgate
