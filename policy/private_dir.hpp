#pragma once
// Folders that only their owner may read.
#include "scanner/core/result.hpp"

#include <filesystem>

namespace hubgate {

/// Makes `dir` with 0700 if it is missing. One that is there must belong to us (or to root, when we
/// are root's) and not be writable by others; readable by others is narrowed where the folder is
/// empty or ours already (`marker` is in it).
Result<void> make_private_dir(const std::filesystem::path& dir, std::string_view marker);

/// For verbs that an administrator runs as root on a service's folder: when we are root and `dir`
/// (or, where it is missing, the folder that it would be made in) belongs to somebody else, this
/// process becomes that user, for good, so that what it writes is the service's. Nothing otherwise.
Result<void> act_as_owner_of(const std::filesystem::path& dir);

} // namespace hubgate
