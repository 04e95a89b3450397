#pragma once
// Paths as files of a repository name each other: read as loosely as the loosest loader (backslash
// separates too, a drive letter is absolute), compared as a file system would.
#include <string>
#include <string_view>

namespace hubgate {

enum class PathKind {
  inside,   ///< stays in the repository
  absolute, ///< a path of the machine that loads
  climbs,   ///< leads out by ".."
  address,  ///< "scheme://…"
};

struct ResolvedPath {
  PathKind kind = PathKind::inside;
  std::string path; ///< when inside: from the root, without "." and ".."
};

/// `target` as the file at `from` names it, relative to that file's folder.
ResolvedPath resolve_path(std::string_view from, std::string_view target);

/// "a/b" of "a/b/c", "" of "c".
std::string_view folder_of(std::string_view path);
/// "c" of "a/b/c".
std::string_view name_of(std::string_view path);
/// ASCII letters to lower case.
std::string lower_case(std::string_view text);

} // namespace hubgate
