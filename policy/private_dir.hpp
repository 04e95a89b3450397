#pragma once
// Folders that only their owner may read.
#include "scanner/core/result.hpp"

#include <filesystem>

namespace hubgate {

/// Makes `dir` with 0700 if it is missing. One that is there must belong to us (or to root, when we
/// are root's) and not be writable by others; readable by others is narrowed where the folder is
/// empty or ours already (`marker` is in it).
Result<void> make_private_dir(const std::filesystem::path& dir, std::string_view marker);

} // namespace hubgate
