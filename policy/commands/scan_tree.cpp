#include "policy/commands/scan_tree.hpp"

#include "policy/store.hpp"
#include "scanner/core/digest.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

namespace hubgate {

void judge_result(ScanResult& result, const std::optional<Policy>& policy) {
  result.verdict = verdict_of(result.report, result.path);
  // What could not be read at all is missing, not blocked.
  if (!policy || result.sha256.empty()) return;
  Context context;
  context.road = Road::scan;
  context.path = result.path;
  context.size = result.size;
  context.sha256 = sha256_from_hex(result.sha256);
  result.decision = policy->decide(result.report, context);
}

ScannedTree::ScannedTree(std::string root) : root_(std::move(root)) {}

// Git's own folder is not part of the repository's files.
std::optional<std::string> ScannedTree::relative(const std::string& path) const {
  std::string out = path.substr(root_.size());
  out.erase(0, std::min(out.find_first_not_of('/'), out.size()));
  if (out.starts_with(".git/")) return std::nullopt;
  return out;
}

void ScannedTree::add_link(const std::string& path, std::string target) {
  const auto name = relative(path);
  if (!name) return;
  TreeEntry& entry = entries_.emplace_back();
  entry.path = *name;
  entry.mode = FileMode::symlink;
  entry.target = std::move(target);
}

TreeEntry& ScannedTree::entry_of(const ScanResult& result, FileMode mode, std::string path) {
  TreeEntry& entry = entries_.emplace_back();
  entry.path = std::move(path);
  entry.mode = mode;
  entry.sha256 = result.sha256;
  entry.size = result.size;
  entry.pointer = result.lfs_pointer;
  return entry;
}

void ScannedTree::add(ScanResult&& result, FileMode mode) {
  auto name = relative(result.path);
  if (!name) return;
  TreeEntry& entry = entry_of(result, mode, std::move(*name));
  // What could not be read is a gap of its own line already.
  if (result.error.empty()) entry.report = &reports_.emplace_back(std::move(result.report));
}

bool ScannedTree::waits(const ScanResult& result) const {
  const auto name = relative(result.path);
  if (!name || !result.error.empty()) return false;
  TreeEntry entry;
  entry.path = *name;
  entry.pointer = result.lfs_pointer;
  entry.report = &result.report;
  return is_only_opaque(entry);
}

void ScannedTree::hold(ScanResult&& result, FileMode mode) {
  auto name = relative(result.path);
  TreeEntry& entry = entry_of(result, mode, name ? std::move(*name) : result.path);
  held_.emplace_back(entries_.size() - 1, std::move(result));
  entry.report = &held_.back().second.report;
}

std::vector<ScanResult> ScannedTree::settle(const std::optional<Policy>& policy) {
  std::vector<ScanResult> out;
  const auto described = described_files(entries_);
  for (auto& [index, result]: held_) {
    if (described[index]) {
      result.report = as_described(result.report, entries_[*described[index]].path);
      judge_result(result, policy);
    }
    out.push_back(result);
  }
  return out;
}

// The bytes that were scanned, or nothing.
std::optional<std::string> ScannedTree::read(const TreeEntry& entry) const {
  const std::string path = root_ + (root_.ends_with('/') ? "" : "/") + entry.path;
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fd) return std::nullopt;
  std::string out(static_cast<std::size_t>(entry.size), '\0');
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::read(fd.get(), out.data() + done, out.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    done += static_cast<std::size_t>(n);
  }
  BlockHasher hasher;
  hasher.update(as_bytes(out));
  return hex(hasher.finish().sha256) == entry.sha256 ? std::optional(std::move(out)) : std::nullopt;
}

ScanResult ScannedTree::judge(WorkerPool& pool, const std::optional<Policy>& policy) {
  judged_ = true;
  TreeOptions options;
  std::string_view folder = root_;
  while (folder.ends_with('/'))
    folder.remove_suffix(1);
  options.folder = folder.substr(folder.rfind('/') + 1);
  const RepositoryCode code =
      repository_code(entries_, options, [this](std::size_t i) { return read(entries_[i]); });
  Report together;
  if (code.wanted()) together = scan_repository(pool, code.bundle, Limits{});
  together.gaps.insert(together.gaps.end(), code.gaps.begin(), code.gaps.end());
  options.repository = &together;
  ScanResult out;
  out.tree = true;
  out.path = root_;
  out.sha256 = tree_key(entries_, "");
  std::error_code unreadable;
  options.plain_folder = !std::filesystem::exists(root_ + "/.git", unreadable);
  out.report = judge_tree(entries_, options);
  out.size = out.report.size;
  out.verdict = verdict_of(out.report, "");
  if (policy) {
    Context context;
    context.road = Road::scan;
    context.path = root_;
    context.size = out.size;
    context.sha256 = sha256_from_hex(out.sha256);
    out.decision = policy->decide(out.report, context);
  }
  return out;
}

} // namespace hubgate
