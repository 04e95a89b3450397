// `hubgate scan`: files and directories through the workers, results in the order of the paths.
#include "policy/commands/scan_output.hpp"
#include "policy/commands/scan_tree.hpp"
#include "policy/commands/verb.hpp"
#include "policy/store.hpp"
#include "policy/yara_rules.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/worker/worker.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <iostream>
#include <thread>

namespace hubgate {
namespace {

namespace fs = std::filesystem;

/// Files up to this size share a worker; see k_batch_bytes.
constexpr std::uint64_t k_small = std::uint64_t{256} << 10;
constexpr std::uint64_t k_batch_bytes = std::uint64_t{8} << 20;
constexpr std::size_t k_batch_files = 128;

struct Options {
  std::vector<std::string> paths;
  std::string format = "text";
  std::string policy;
  unsigned jobs = 0;
};

/// A file to scan, or a path that can't be.
struct Target {
  std::string path;
  std::string error;
  std::uint64_t size = 0;
  ScannedTree* tree = nullptr; ///< of a directory that was asked for
  bool executable = false;
};

// Symbolic links inside a directory are not followed: a target leads nowhere. One that the user
// names is what they asked for.
void collect(const std::string& path, std::vector<Target>& out, std::deque<ScannedTree>& trees) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    out.push_back({path, std::strerror(errno)});
    return;
  }
  if (S_ISREG(info.st_mode)) {
    out.push_back({path, "", static_cast<std::uint64_t>(info.st_size)});
    return;
  }
  if (!S_ISDIR(info.st_mode)) {
    out.push_back({path, "neither a file nor a directory"});
    return;
  }
  ScannedTree& tree = trees.emplace_back(path);
  std::vector<std::string> folders{path};
  std::vector<Target> found;
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    std::error_code failure;
    fs::directory_iterator entries(folder, failure);
    if (failure) {
      found.push_back({folder, failure.message(), 0, &tree});
      continue;
    }
    for (const auto end = fs::directory_iterator(); entries != end; entries.increment(failure)) {
      if (failure) break;
      const std::string name = entries->path().string();
      struct stat inner{};
      if (lstat(name.c_str(), &inner) != 0)
        found.push_back({name, std::strerror(errno), 0, &tree});
      else if (S_ISDIR(inner.st_mode))
        folders.push_back(name);
      else if (S_ISREG(inner.st_mode))
        found.push_back({name, "", static_cast<std::uint64_t>(inner.st_size), &tree,
                         (inner.st_mode & S_IXUSR) != 0});
      else if (S_ISLNK(inner.st_mode))
        tree.add_link(name, fs::read_symlink(name, failure).string());
      else
        found.push_back({name, "neither a file nor a directory", 0, &tree});
    }
    if (failure) found.push_back({folder, failure.message(), 0, &tree});
  }
  std::sort(found.begin(), found.end(),
            [](const Target& a, const Target& b) { return a.path < b.path; });
  out.insert(out.end(), std::make_move_iterator(found.begin()),
             std::make_move_iterator(found.end()));
}

/// Consecutive small files, or one large file.
struct Unit {
  std::size_t first = 0;
  std::size_t count = 0;
};

std::vector<Unit> plan(const std::vector<Target>& targets) {
  std::vector<Unit> units;
  std::uint64_t bytes = 0;
  bool open = false;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const bool small = targets[i].size <= k_small;
    if (open && small && units.back().count < k_batch_files && bytes < k_batch_bytes) {
      ++units.back().count;
      bytes += targets[i].size;
      continue;
    }
    units.push_back({i, 1});
    open = small;
    bytes = targets[i].size;
  }
  return units;
}

Fd open_file(const Target& target, ScanResult& result, struct stat& info) {
  Fd fd(open(target.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd || fstat(fd.get(), &info) != 0) {
    result.error = std::strerror(errno);
    return Fd();
  }
  if (!S_ISREG(info.st_mode)) {
    result.error = "not a regular file";
    return Fd();
  }
  result.size = static_cast<std::uint64_t>(info.st_size);
  return fd;
}

// As git-lfs writes them (docs/spec.md); what else a loader would take for a pointer is text.
bool is_lfs_pointer(Bytes bytes) {
  constexpr std::size_t k_max = 1024;
  return bytes.size() <= k_max &&
         as_text(bytes).starts_with("version https://git-lfs.github.com/spec/v1\noid sha256:");
}

// Hashes what the worker is scanning at the same time. Says so when the two can't have seen the
// same bytes.
std::string hash_file(int fd, const struct stat& before, ScanResult& result) {
  BlockHasher hasher;
  std::vector<std::uint8_t> buffer(std::size_t{256} << 10);
  for (;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(hasher.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::strerror(errno);
    if (n == 0) break;
    hasher.update(Bytes(buffer).first(static_cast<std::size_t>(n)));
  }
  const std::uint64_t size = hasher.size();
  result.sha256 = hex(hasher.finish().sha256);
  struct stat after{};
  if (fstat(fd, &after) != 0 || size != result.size || after.st_size != before.st_size ||
      after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
      after.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
    return "it changed while it was scanned";
  return "";
}

class Scan {
public:
  Scan(WorkerPool& pool, std::vector<Target> targets, const std::optional<Policy>& policy)
      : pool_(pool), targets_(std::move(targets)), policy_(policy), results_(targets_.size()),
        ready_(targets_.size(), false), units_(plan(targets_)) {}

  /// Runs with `jobs` threads and calls `each` for every result, in order, on this thread.
  template <typename Each> void run(unsigned jobs, Each each) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < jobs; ++i)
      threads.emplace_back([this] { work(); });
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ready_[i]; });
      const std::unique_ptr<ScanResult> result = std::move(results_[i]);
      lock.unlock();
      each(std::move(*result), targets_[i]);
      // The last of its directory: the files of one follow each other.
      const bool last = i + 1 == targets_.size() || targets_[i + 1].tree != targets_[i].tree;
      if (targets_[i].tree == nullptr || !last) continue;
      ScanResult together = targets_[i].tree->judge(pool_, policy_);
      for (auto& held: targets_[i].tree->settle(policy_))
        each(std::move(held), {});
      each(std::move(together), {});
    }
    for (auto& thread: threads)
      thread.join();
  }

private:
  void work() {
    for (;;) {
      const std::size_t at = next_.fetch_add(1);
      if (at >= units_.size()) return;
      const Unit& unit = units_[at];
      if (unit.count == 1 && targets_[unit.first].size > k_small)
        one(unit.first);
      else
        batch(unit);
    }
  }

  void one(std::size_t index) {
    auto result = start(index);
    struct stat info{};
    if (result->error.empty()) {
      if (const Fd fd = open_file(targets_[index], *result, info); fd) {
        auto job = pool_.submit(fd.get(), result->size, Limits{});
        std::string failure = hash_file(fd.get(), info, *result);
        if (job)
          result->report = wait_for_report(std::move(*job));
        else
          failure = job.error().message;
        result->report.size = result->size;
        if (!failure.empty()) result->error = failure;
      }
    }
    finish(index, std::move(result));
  }

  void batch(const Unit& unit) {
    const Fd memory(memfd_create("hubgate-scan", MFD_CLOEXEC));
    std::vector<std::unique_ptr<ScanResult>> results;
    std::vector<BatchItem> items;
    std::vector<std::size_t> owners;
    std::uint64_t end = 0;
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < unit.count; ++i) {
      results.push_back(start(unit.first + i));
      ScanResult& result = *results.back();
      if (!result.error.empty()) continue;
      if (!read_small(targets_[unit.first + i], result, bytes)) continue;
      if (!memory || pwrite(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(end)) !=
                         static_cast<ssize_t>(bytes.size())) {
        result.error = "no memory for the batch";
        continue;
      }
      items.push_back({end, bytes.size()});
      owners.push_back(i);
      end += bytes.size();
    }
    if (!items.empty()) {
      auto reports = scan_batch(pool_, memory.get(), end, items, Limits{});
      for (std::size_t i = 0; i < owners.size(); ++i) {
        reports[i].size = results[owners[i]]->size;
        results[owners[i]]->report = std::move(reports[i]);
      }
    }
    for (std::size_t i = 0; i < unit.count; ++i)
      finish(unit.first + i, std::move(results[i]));
  }

  // The bytes themselves go to the worker, so what is hashed is what is scanned.
  static bool read_small(const Target& target, ScanResult& result,
                         std::vector<std::uint8_t>& bytes) {
    struct stat info{};
    const Fd fd = open_file(target, result, info);
    if (!fd) return false;
    bytes.resize(static_cast<std::size_t>(result.size));
    std::size_t got = 0;
    while (got < bytes.size()) {
      const ssize_t n = read(fd.get(), bytes.data() + got, bytes.size() - got);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    if (got != bytes.size()) {
      result.error = "it changed while it was read";
      return false;
    }
    result.sha256 = hex(sha256(bytes));
    result.lfs_pointer = is_lfs_pointer(bytes);
    return true;
  }

  std::unique_ptr<ScanResult> start(std::size_t index) const {
    auto result = std::make_unique<ScanResult>();
    result->path = targets_[index].path;
    result->error = targets_[index].error;
    return result;
  }

  void finish(std::size_t index, std::unique_ptr<ScanResult> result) {
    if (!result->error.empty())
      result->report.gaps.push_back(
          Gap{Reason::unreadable, Reach::load, "", 0, printable(result->error)});
    judge_result(*result, policy_);
    const std::lock_guard lock(mutex_);
    results_[index] = std::move(result);
    ready_[index] = true;
    changed_.notify_one();
  }

  WorkerPool& pool_;
  std::vector<Target> targets_;
  const std::optional<Policy>& policy_;
  std::vector<std::unique_ptr<ScanResult>> results_;
  std::vector<bool> ready_;
  std::vector<Unit> units_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

void count_tree(ScanTotals& totals, const ScanResult& result) {
  if (result.decision && !result.decision->passes()) ++totals.blocked;
  if (result.verdict.kind == VerdictKind::malicious) ++totals.trees_malicious;
  if (result.verdict.kind == VerdictKind::suspicious) ++totals.trees_suspicious;
  if (result.verdict.kind == VerdictKind::inconclusive) ++totals.trees_inconclusive;
}

void count(ScanTotals& totals, const ScanResult& result) {
  if (result.tree) return count_tree(totals, result);
  ++totals.files;
  totals.bytes += result.size;
  if (result.decision && !result.decision->passes()) ++totals.blocked;
  if (!result.error.empty()) {
    ++totals.unreadable;
    // What was found before it became unreadable still counts.
    if (result.verdict.kind < VerdictKind::suspicious) return;
  }
  switch (result.verdict.kind) {
  case VerdictKind::malicious:
    ++totals.malicious;
    break;
  case VerdictKind::suspicious:
    ++totals.suspicious;
    break;
  case VerdictKind::inconclusive:
    ++totals.inconclusive;
    break;
  case VerdictKind::clean:
    ++totals.clean;
    break;
  }
}

int run_scan(const Options& options) {
  std::optional<Policy> policy;
  if (!options.policy.empty()) {
    auto loaded = Policy::named(options.policy);
    if (!loaded) return complain(loaded.error().message, exit_usage);
    policy = std::move(loaded).value();
  }
  auto pool = WorkerPool::start(all_formats());
  if (!pool) return complain(pool.error().message, exit_error);
  std::string rules = rules_digest(all_formats());
  if (policy) {
    if (const auto given = give_rules(**pool, *policy); !given)
      return complain(given.error().message, exit_error);
    rules = with_yara(rules, *policy);
  }

  std::vector<Target> targets;
  std::deque<ScannedTree> trees;
  for (const auto& path: options.paths)
    collect(path, targets, trees);
  const std::size_t total = targets.size();

  const ScanFormat format = options.format == "jsonl"   ? ScanFormat::jsonl
                            : options.format == "sarif" ? ScanFormat::sarif
                                                        : ScanFormat::text;
  const bool colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == nullptr;
  // Progress would tear lines that go to the same terminal.
  const bool progress = isatty(STDERR_FILENO) != 0 && isatty(STDOUT_FILENO) == 0 && total > 1;
  const auto output = make_scan_output(format, std::cout, rules, colour);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());

  ScanTotals totals;
  bool partly = false;
  output->begin();
  Scan scan(**pool, std::move(targets), policy);
  const auto take = [&](ScanResult result, const Target& of) {
    const FileMode mode = of.executable ? FileMode::executable : FileMode::regular;
    if (of.tree != nullptr && of.tree->waits(result)) return of.tree->hold(std::move(result), mode);
    output->file(result);
    count(totals, result);
    partly = partly || result.verdict.inconclusive;
    if (of.tree != nullptr) of.tree->add(std::move(result), mode);
    if (progress) std::cerr << '\r' << totals.files << '/' << total << " files" << std::flush;
  };
  scan.run(options.jobs != 0 ? options.jobs : cores, take);
  for (auto& tree: trees) // those without a file
    if (!tree.judged()) take(tree.judge(**pool, policy), {});
  output->end();
  std::cout.flush();
  if (progress) std::cerr << '\r';
  std::cerr << "hubgate: " << summary(totals, policy.has_value()) << '\n';
  if (!std::cout) return complain("can't write the result", exit_error);

  const bool found = policy ? totals.blocked != 0
                            : totals.malicious + totals.suspicious + totals.trees_malicious +
                                      totals.trees_suspicious !=
                                  0;
  if (found) return exit_found;
  return partly ? exit_error : exit_ok;
}

void set_up(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  app.add_option("PATH", options->paths, "files and directories")->required();
  app.add_option("--format", options->format, "text, jsonl (one JSON object a line) or sarif")
      ->check(CLI::IsMember({"text", "jsonl", "sarif"}))
      ->capture_default_str();
  app.add_option("--policy", options->policy,
                 "a policy file or preset (guarded, strict, audit): exit 1 if it blocks anything");
  app.add_option("--jobs", options->jobs, "scans at a time; default: one a core")
      ->check(CLI::Range(1, 256));
  app.footer(
      "Exit status: 0 all clean; 1 something malicious or suspicious (with --policy: "
      "blocked or\nquarantined); 2 bad flags or policy; 3 something inconclusive, missing or "
      "unreadable.");
  app.callback([options, &exit_code] { exit_code = run_scan(*options); });
}

} // namespace

extern const Verb verb_scan;
const Verb verb_scan{"scan", "scan files and directories", set_up};

} // namespace hubgate
