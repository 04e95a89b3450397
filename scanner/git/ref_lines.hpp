#pragma once
// The lines that receive-pack writes to a pre-receive hook (githooks(5)): "<old> <new> <ref>\n" for
// each ref, zeros for one that is created or deleted. Read strictly: what can't be understood must
// not pass.
#include "scanner/core/result.hpp"
#include "scanner/gitstore/oid.hpp"

#include <vector>

namespace hubgate::git {

struct RefUpdate {
  Oid before;       ///< zero: the ref is new
  Oid after;        ///< zero: the ref is deleted
  std::string name; ///< valid per git-check-ref-format(1), begins with "refs/"

  bool deletes() const { return after.is_zero(); }
};

/// Bytes that the hook reads from standard input before it refuses: some 500,000 refs.
inline constexpr std::size_t k_ref_lines_max = std::size_t{64} << 20;

/// All lines; the error names the number of the first bad one and what is wrong with it.
Result<std::vector<RefUpdate>> parse_ref_lines(std::string_view text);

/// git-check-ref-format(1), and the prefix "refs/" that receive-pack demands.
bool valid_ref_name(std::string_view name);

/// Entries of GIT_ALTERNATE_OBJECT_DIRECTORIES (git(1)): separated by ':', each may be quoted like
/// a C string, "#" begins a comment entry. Nothing when a quoted entry is broken.
std::optional<std::vector<std::string>> parse_alternates(std::string_view list);

} // namespace hubgate::git
