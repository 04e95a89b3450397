#pragma once
// A directory that `hubgate scan` was asked for, as one repository: gathers what its files' scans
// said and gives them to the tree pass (scanner/tree).
#include "policy/commands/scan_output.hpp"
#include "scanner/tree/tree.hpp"
#include "scanner/worker/worker.hpp"

#include <deque>
#include <string>
#include <vector>

namespace hubgate {

/// The verdict of a scanned file under its path, and with a policy the decision.
void judge_result(ScanResult& result, const std::optional<Policy>& policy);

class ScannedTree {
public:
  /// `root` as the user named it.
  explicit ScannedTree(std::string root);

  /// A symbolic link below the root; it is not followed.
  void add_link(const std::string& path, std::string target);
  /// The result of a file below the root; its report is kept.
  void add(ScanResult&& result, FileMode mode);
  /// Whether another file of the directory may yet account for this one: hold() it.
  bool waits(const ScanResult& result) const;
  /// Like add(), for a result that is not to be shown before the others are known.
  void hold(ScanResult&& result, FileMode mode);
  /// When all files were added. Reads the code of the repository once more, for a worker of `pool`
  /// that follows it across files.
  ScanResult judge(WorkerPool& pool, const std::optional<Policy>& policy);
  /// The results that were held, as the other files make them. Once, behind judge().
  std::vector<ScanResult> settle(const std::optional<Policy>& policy);
  bool judged() const { return judged_; }

private:
  std::optional<std::string> relative(const std::string& path) const;
  TreeEntry& entry_of(const ScanResult& result, FileMode mode, std::string path);

  std::optional<std::string> read(const TreeEntry& entry) const;

  std::string root_;
  std::deque<Report> reports_;
  std::deque<std::pair<std::size_t, ScanResult>> held_; ///< and the index of their entry
  std::vector<TreeEntry> entries_;
  bool judged_ = false;
};

} // namespace hubgate
