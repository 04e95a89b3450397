#pragma once
// What a path or address that an object names leads to, judged by its text alone: nothing is
// opened. Both separators count, because one machine's loader splits at either.
#include <string_view>

namespace hubgate {

enum class PathKind {
  plain,     ///< a file beside the object or below it
  traversal, ///< a part of it is "..", in whatever disguise
  absolute,  ///< begins at the root, a drive, a home folder or a share
  url,       ///< has a scheme: http:, file:, s3:…
  control,   ///< has a NUL or another control character, so that readers see two names
};

/// Judges `path` as it stands in the object. "" is plain.
inline PathKind path_kind(std::string_view path) {
  for (const char c: path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return PathKind::control;
  if (path.starts_with('/') || path.starts_with('\\') || path.starts_with('~'))
    return PathKind::absolute;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (path.size() >= 2 && path[1] == ':' && is_letter(path[0])) return PathKind::absolute;
  // scheme ":" of RFC 3986; "%2e%2e" and "..%2f" are undone by whoever treats the path as a URL.
  std::size_t scheme = 0;
  while (scheme < path.size() &&
         (is_letter(path[scheme]) ||
          (scheme > 0 && ((path[scheme] >= '0' && path[scheme] <= '9') || path[scheme] == '+' ||
                          path[scheme] == '-' || path[scheme] == '.'))))
    ++scheme;
  if (scheme > 1 && scheme < path.size() && path[scheme] == ':') return PathKind::url;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    std::size_t end = begin;
    while (end < path.size() && path[end] != '/' && path[end] != '\\')
      ++end;
    std::string_view part = path.substr(begin, end - begin);
    // "#.." and "?.." hide the dots from whoever cuts fragments off, " .." from who trims.
    while (!part.empty() && (part.front() == '#' || part.front() == '?' || part.front() == ' '))
      part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ')
      part.remove_suffix(1);
    if (part == "..") return PathKind::traversal;
    for (std::size_t at = part.find('%'); at != std::string_view::npos; at = part.find('%', at + 1))
      if (part.size() - at >= 3 && part[at + 1] == '2' &&
          (part[at + 2] == 'e' || part[at + 2] == 'E' || part[at + 2] == 'f' ||
           part[at + 2] == 'F'))
        return PathKind::traversal;
    begin = end + 1;
  }
  return PathKind::plain;
}

/// The words for a person: "leads out of its folder".
inline std::string_view to_string(PathKind kind) {
  switch (kind) {
  case PathKind::traversal:
    return "leads out of its folder";
  case PathKind::absolute:
    return "is a place on the reader's own machine or network";
  case PathKind::url:
    return "is an address";
  case PathKind::control:
    return "has a control character in it";
  case PathKind::plain:
    break;
  }
  return "is a file beside it";
}

} // namespace hubgate
