#pragma once
// What a tree may not say: GIT-009. The checks of fsck.c (Git 2.39) on names and order, and what
// the file systems of people who check out make of a name: NTFS and HFS+ spellings of ".git",
// backslashes, names that differ in case only (CVE-2014-9390, CVE-2019-1352, CVE-2021-21300,
// CVE-2024-32002).
#include "scanner/core/format.hpp"
#include "scanner/git/objects.hpp"

#include <span>
#include <string>
#include <vector>

namespace hubgate::git {

/// Rules of the hook about trees, commits and links.
std::span<const Rule> tree_rules();

struct TreeProblem {
  const Rule* rule = nullptr;
  std::string evidence; ///< raw text with names from the tree
};

/// The problems of one tree, at most `most` of each rule. Linear in the tree but for the sort of
/// its names.
std::vector<TreeProblem> check_tree(std::span<const TreeEntry> entries, std::size_t most = 20);

/// The order of a tree: names as bytes, a directory as if its name ended in a slash.
bool comes_before(const TreeEntry& a, const TreeEntry& b);

/// For a submodule's entry: what is behind it lies in another repository.
const Rule& submodule_rule();
std::string submodule_evidence(const Oid& commit);

/// A file that Git or git-lfs takes its configuration from, in the spellings of NTFS and HFS+ too.
enum class ControlFile { none, config, attributes, other };
/// `name` is the last component of a path.
ControlFile control_file(std::string_view name);

/// Whether some file system would take the name for ".git".
bool is_dot_git(std::string_view name);

/// Where a symlink points, as far as its text says: GIT-006.
enum class LinkTarget {
  inside,  ///< a relative path that stays in the repository
  outside, ///< absolute, or climbs out of the repository
  dot_git, ///< into .git
};

/// `path` is the link's own path in the repository, `target` the blob's bytes. Backslashes count as
/// separators, drive letters as absolute: the link may be checked out on Windows.
LinkTarget link_target(std::string_view path, std::string_view target);

} // namespace hubgate::git
