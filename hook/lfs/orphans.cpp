#include "hook/lfs/orphans.hpp"

#include "hook/lfs/references.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/git/pointer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace hubgate {
namespace fs = std::filesystem;
namespace {

Error failed(const std::string& what) {
  return Error{what + ": " + std::strerror(errno)};
}

fs::path root_of(const LfsSourceConfig& folder, const LfsWorld& world, const std::string& id) {
  const fs::path root = with_repository(folder.place, world.repo, id);
  return root.is_absolute() ? root : (world.git_dir / root).lexically_normal();
}

bool is_oid(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

} // namespace

Result<void> take_away(const std::string& path, const Fd& held, LfsConfig::Orphans how,
                       const fs::path& root, const std::string& oid) {
  struct stat was{};
  struct stat is{};
  if (fstat(held.get(), &was) != 0 || lstat(path.c_str(), &is) != 0) return failed("it is gone");
  if (was.st_dev != is.st_dev || was.st_ino != is.st_ino)
    return Error{"another file has come in its place"};
  if (how == LfsConfig::Orphans::remove) {
    if (unlink(path.c_str()) != 0) return failed("can't be removed");
    return {};
  }
  const fs::path aside = root / k_lfs_aside;
  if (mkdir(aside.c_str(), 0700) != 0 && errno != EEXIST)
    return failed("can't make " + printable(aside.string(), 200));
  struct stat folder{};
  if (lstat(aside.c_str(), &folder) != 0 || !S_ISDIR(folder.st_mode))
    return Error{printable(aside.string(), 200) + " is no folder"};
  if (rename(path.c_str(), (aside / oid).c_str()) != 0) return failed("can't be moved");
  return {};
}

void clear_orphans(const LfsConfig& config, const HookEnvironment& environment,
                   const std::vector<Item>& items, Authority& authority) {
  if (config.orphans == LfsConfig::Orphans::keep) return;
  std::set<std::string> blocked;
  for (const auto& item: items)
    if (!item.lfs.empty() && !item.decision.passes()) blocked.insert(item.lfs);
  if (blocked.empty()) return;
  const auto tell = [&](const std::string& oid, std::string_view outcome, std::string_view why) {
    // Nobody waits for the answer of a refused push's log line.
    (void)authority.event("lfs-orphan", {{"repo", printable(environment.repo, 300)},
                                         {"oid", oid},
                                         {"outcome", outcome},
                                         {"reason", printable(why, 300)}});
  };
  const auto before = lfs_references(environment.git_dir, LfsReach::stored);
  const LfsWorld world{environment.git_dir, environment.repo, "", [] { return true; }};
  const bool removes = config.orphans == LfsConfig::Orphans::remove;
  for (const auto& oid: blocked) {
    if (!before) {
      tell(oid, "kept", before.error().message);
      continue;
    }
    if (before->contains(oid)) {
      tell(oid, "kept", "a file that was there before points at it");
      continue;
    }
    std::string id;
    for (const auto& source: config.sources) {
      if (source.kind != LfsSourceConfig::Kind::folder) {
        tell(oid, "kept", "it may lie in a store that is no folder");
        continue;
      }
      if (id.empty() && !config.database.empty())
        if (auto known = soft_serve_repository(config.database, environment.repo)) id = *known;
      const LfsFolder folder(source, world, id);
      const auto found = folder.find(oid);
      if (!found || !*found) continue;
      if (source.shared) {
        tell(oid, "kept", "other repositories may point at it (" + folder.name() + ")");
        continue;
      }
      const auto gone = take_away((*found)->first, (*found)->second, config.orphans,
                                  root_of(source, world, id), oid);
      tell(oid,
           !gone     ? "kept"
           : removes ? "removed"
                     : "quarantined",
           gone ? folder.name() : gone.error().message);
    }
  }
}

std::vector<OrphanObject> lfs_objects_in(const LfsSourceConfig& folder, const LfsWorld& world,
                                         const std::string& repo_id) {
  std::vector<OrphanObject> out;
  const fs::path root = root_of(folder, world, repo_id);
  std::error_code error;
  auto at =
      fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code ignored;
    if (at->path().filename() == k_lfs_aside) {
      at.disable_recursion_pending();
      continue;
    }
    if (!fs::is_regular_file(at->symlink_status(ignored))) continue;
    // The whole id, or its digits in folders; the shapes say which.
    std::string digits;
    for (const auto& part: at->path().lexically_relative(root))
      digits += part.string();
    for (const std::string& oid: {at->path().filename().string(), digits}) {
      if (!is_oid(oid)) continue;
      const auto places = lfs_places(folder, world, repo_id, oid);
      if (std::find(places.begin(), places.end(), at->path().string()) == places.end()) continue;
      struct stat info{};
      if (lstat(at->path().c_str(), &info) != 0) break;
      out.push_back({oid, at->path().string(), root.string(),
                     static_cast<std::uint64_t>(info.st_size), info.st_mtim.tv_sec});
      break;
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

} // namespace hubgate
