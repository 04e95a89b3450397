#pragma once
// Which LFS objects a repository's own blobs point at: what must be known before one is removed.
#include "scanner/core/result.hpp"

#include <filesystem>
#include <set>
#include <string>

namespace hubgate {

enum class LfsReach {
  stored,    ///< by any blob of the repository's store, whatever names it; not those of a push
  reachable, ///< by a blob that a ref or reflog leads to
};

/// Ids that pointers name. Reads every blob of up to k_pointer_max bytes, which is what git-lfs
/// takes for a pointer.
Result<std::set<std::string>> lfs_references(const std::filesystem::path& git_dir, LfsReach reach);

} // namespace hubgate
