#include "policy/commands/scan_tree.hpp"

#include "policy/store.hpp"

namespace hubgate {

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

void ScannedTree::add(ScanResult&& result, FileMode mode) {
  const auto name = relative(result.path);
  if (!name) return;
  TreeEntry& entry = entries_.emplace_back();
  entry.path = *name;
  entry.mode = mode;
  entry.sha256 = std::move(result.sha256);
  entry.size = result.size;
  entry.pointer = result.lfs_pointer;
  // What could not be read is a gap of its own line already.
  if (result.error.empty()) entry.report = &reports_.emplace_back(std::move(result.report));
}

ScanResult ScannedTree::judge(const std::optional<Policy>& policy) {
  judged_ = true;
  ScanResult out;
  out.tree = true;
  out.path = root_;
  out.sha256 = tree_key(entries_, "");
  out.report = judge_tree(entries_, TreeOptions{});
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
