#include "hook/lfs_store.hpp"

#include "scanner/core/evidence.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hubgate {

LfsStore::LfsStore(const HookConfig& config, const HookEnvironment& environment)
    : roots_(config.lfs_roots), templates_(config.lfs_paths), git_dir_(environment.git_dir) {
  if (roots_.empty()) roots_.emplace_back("lfs/objects");
  if (templates_.empty())
    for (const auto shape: git::default_lfs_templates())
      templates_.emplace_back(shape);
}

std::vector<std::string> LfsStore::places(const std::string& oid) const {
  std::vector<std::string> out;
  for (const auto& root: roots_)
    for (const auto& shape: templates_)
      if (const auto path = git::expand_lfs_path(shape, root, oid)) {
        // Relative to the repository.
        std::string place = std::filesystem::path(*path).is_absolute()
                                ? *path
                                : (git_dir_ / *path).lexically_normal().string();
        if (std::find(out.begin(), out.end(), place) == out.end()) out.push_back(std::move(place));
      }
  return out;
}

std::string LfsStore::example(const std::string& oid) const {
  const auto all = places(oid);
  return all.empty() ? std::string() : all.front();
}

Result<Fd> LfsStore::look(const std::string& oid) const {
  for (const auto& place: places(oid)) {
    Fd fd(::open(place.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) {
      // A link is nobody's object: whoever made it decides what is behind it.
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;
      return Error{"the LFS object " + oid.substr(0, 12) +
                   " is there and can't be opened: " + std::strerror(errno)};
    }
    struct stat info{};
    if (fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode)) return fd;
  }
  return Fd();
}

Fd LfsStore::open(const std::string& oid) const {
  auto fd = look(oid);
  return fd ? std::move(fd).value() : Fd();
}

Result<void> LfsStore::want(const std::string& oid, Judge& judge) {
  const auto [at, fresh] = objects_.try_emplace(oid);
  if (!fresh) return {};
  Fd fd = HUBGATE_TRY(look(oid));
  if (!fd) return {};
  at->second.found = true;
  at->second.judged = &judge.file(std::move(fd));
  return {};
}

const LfsStore::Object* LfsStore::find(const std::string& oid) const {
  const auto at = objects_.find(oid);
  return at == objects_.end() ? nullptr : &at->second;
}

void LfsStore::each(const std::function<void(const Judged&)>& visit) const {
  for (const auto& [oid, object]: objects_)
    if (object.judged != nullptr) visit(*object.judged);
}

} // namespace hubgate
