#pragma once
// Globs of policies, waivers and conditional findings. `*` is any run of characters but '/', `**`
// any run at all, `?` one character but '/', `[a-z]` and `[!a-z]` one of a set; everything else is
// itself. No recursion; text and pattern are short (paths, names).
#include <string_view>

namespace hubgate {

enum class Case { sensitive, insensitive }; ///< ASCII letters only

/// Whether the whole of `text` matches `pattern`.
bool glob_matches(std::string_view pattern, std::string_view text, Case letters);

/// For paths: a pattern without '/' is matched against the last component, one with '/' against
/// the whole path. Letters' case does not count, as on the file systems of half the clients.
bool path_glob_matches(std::string_view pattern, std::string_view path);

/// For canonical repository names: like glob_matches, without regard to case (hubs resolve names
/// so), and a lone `*` matches every name.
bool repo_glob_matches(std::string_view pattern, std::string_view repo);

/// Whether what is conditional (Finding::condition, with the `where` of the same finding, gap or
/// reference) holds for an object at `path`; an empty path fits every condition. Names inside of
/// containers count like the path's own.
bool holds_under(std::string_view condition, std::string_view where, std::string_view path);

} // namespace hubgate
