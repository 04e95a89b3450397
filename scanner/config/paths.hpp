#pragma once
// Paths: what a path or address that stands in a configuration or in the rows of a dataset leads
// to. Judged as text alone, read as permissively as the most permissive loader (either slash,
// percent-encoding); nothing is ever opened.
#include <string>
#include <string_view>

namespace hubgate::config {

enum class PathKind {
  relative,  ///< stays below the folder that it is read from
  traversal, ///< climbs out of it: `..`
  absolute,  ///< from a root, a drive, a share or a home folder
  file_url,  ///< file:…
  hub_url,   ///< hf://…
  url,       ///< any other scheme
};

struct PathFacts {
  PathKind kind = PathKind::relative;
  bool sensitive = false; ///< names what only its owner should read: /etc, /proc, keys, tokens
  bool chained = false;   ///< fsspec's `zip://…::https://…`
  unsigned climbs = 0;    ///< folders that a traversal climbs above its start
};

PathFacts judge_path(std::string_view path);

} // namespace hubgate::config
