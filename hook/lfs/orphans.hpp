#pragma once
// Orphans: LFS objects on the server that no commit refers to. A refused push leaves its objects
// behind, because they came before it; whoever knows an id can fetch them.
#include "hook/lfs/folder.hpp"
#include "policy/git/answer.hpp"
#include "policy/judge/authority.hpp"

namespace hubgate {

/// Where objects are moved to: a folder in the store that no server looks into.
inline constexpr const char* k_lfs_aside = "hubgate-quarantine";

/// Removes an object's file, or moves it to ROOT/hubgate-quarantine/OID. `held` is the file as it
/// was found: another one that came in its place meanwhile stays.
Result<void> take_away(const std::string& path, const Fd& held, LfsConfig::Orphans how,
                       const std::filesystem::path& root, const std::string& oid);

/// After a refused push: takes the blocked LFS objects out of the folders that are this
/// repository's alone, unless a blob that was there before points at them. What was done, or why
/// not, goes to the audit log ("lfs-orphan"). Failures don't matter to the push: it is refused.
void clear_orphans(const LfsConfig& config, const HookEnvironment& environment,
                   const std::vector<Item>& items, Authority& authority);

struct OrphanObject {
  std::string oid;
  std::string path;
  std::string root;
  std::uint64_t size = 0;
  std::int64_t changed = 0; ///< seconds since 1970
};

/// The objects of a folder; files that are none by any shape are left out. Links are not followed.
std::vector<OrphanObject> lfs_objects_in(const LfsSourceConfig& folder, const LfsWorld& world,
                                         const std::string& repo_id);

} // namespace hubgate
