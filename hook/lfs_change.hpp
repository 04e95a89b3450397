#pragma once
// LFS given up, or taken up: paths that were LFS pointers before the push and are plain files
// behind it, the reverse, and patterns of .gitattributes that send files to LFS no more. The bytes
// are judged either way; but servers' LFS checks, quotas and other people's scanners look at one of
// the two only, so the change is told. Compared are the old and the new tip of each updated ref; a
// new ref has nothing to compare with.
#include "hook/context.hpp"
#include "policy/git/cases.hpp"
#include "scanner/git/object_store.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace hubgate {

struct LfsChangeWorld {
  const HookEnvironment& environment;
  const std::vector<git::RefUpdate>& updates;
  const std::vector<std::size_t>& classes; ///< of the updates, see RefClasses
  ObjectStore& objects;
  std::uint64_t max_entries = 0; ///< of trees that are compared; behind it nothing more is told
  /// What the push's own scan makes of a blob; null when the blob is not of the push.
  std::function<const Judged*(const git::Oid&)> judged;
};

/// One case a path. To be called when the judge has waited.
Result<std::vector<PushCase>> lfs_changes(const LfsChangeWorld& world);

/// The patterns that a .gitattributes sends to LFS, in its order; a later line overrides an earlier
/// one with the same pattern.
std::vector<std::string> lfs_patterns(std::string_view attributes);

} // namespace hubgate
