#include "hook/lfs/folder.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/git/pointer.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hubgate {

std::vector<std::string> lfs_places(const LfsSourceConfig& folder, const LfsWorld& world,
                                    const std::string& repo_id, const std::string& oid) {
  std::vector<std::string> shapes = folder.paths;
  if (shapes.empty())
    for (const auto shape: git::default_lfs_templates())
      shapes.emplace_back(shape);
  const std::string root = with_repository(folder.place, world.repo, repo_id);
  std::vector<std::string> out;
  for (const auto& shape: shapes)
    if (const auto path =
            git::expand_lfs_path(with_repository(shape, world.repo, repo_id), root, oid)) {
      std::string place = std::filesystem::path(*path).is_absolute()
                              ? *path
                              : (world.git_dir / *path).lexically_normal().string();
      if (std::find(out.begin(), out.end(), place) == out.end()) out.push_back(std::move(place));
    }
  return out;
}

std::string LfsFolder::name() const {
  return "folder " + printable(with_repository(config_.place, world_.repo, repo_id_), 200);
}

Result<std::optional<std::pair<std::string, Fd>>> LfsFolder::find(const std::string& oid) const {
  using Found = std::optional<std::pair<std::string, Fd>>;
  for (auto& place: places(oid)) {
    Fd fd(::open(place.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;
      return Error{"it is there and can't be opened: " + std::string(std::strerror(errno))};
    }
    struct stat info{};
    if (fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode))
      return Found(std::in_place, std::move(place), std::move(fd));
  }
  return Found();
}

Result<Judge::Fetched> LfsFolder::fetch(const LfsWanted& wanted) {
  auto found = HUBGATE_TRY(find(wanted.oid));
  Judge::Fetched out;
  if (found) out.file = std::move(found->second);
  return out;
}

} // namespace hubgate
