#pragma once
// Trees as Git stores them: mode, name and id of each entry. What checks a push out is the hook's
// (scanner/git/tree_check.hpp); here a tree is something that somebody's copy of a repository
// holds.
#include "scanner/core/session.hpp"

namespace hubgate::git {

extern const Rule& k_rule_tree_name; ///< git_object.cpp

/// "KIND SIZE\0" at the beginning of `head`, and how long it is.
struct ObjectPrefix {
  std::string_view kind; ///< "blob", "tree", "commit", "tag"
  std::uint64_t size = 0;
  std::size_t length = 0;
};
std::optional<ObjectPrefix> read_prefix(Bytes head);

/// Judges the names of the tree that is bytes [begin, end) of `source`, `at` is where to report.
/// False when the bytes are no tree, with ids of 20 or 32 bytes.
bool judge_tree(Source& source, Session& session, std::uint64_t begin, std::uint64_t end,
                std::uint64_t at);

/// Whether a name or path leads out of the folder that is checked out, or into ".git".
bool is_trick(std::string_view name);

} // namespace hubgate::git
