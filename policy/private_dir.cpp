#include "policy/private_dir.hpp"

#include "scanner/core/evidence.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hubgate {

Result<void> make_private_dir(const std::filesystem::path& dir, std::string_view marker) {
  const std::string name = printable(dir.string(), 300);
  const auto failed = [&](std::string_view what) {
    return Error{name + ": " + std::string(what) + ": " + std::strerror(errno)};
  };
  std::error_code error;
  if (dir.has_parent_path()) std::filesystem::create_directories(dir.parent_path(), error);
  if (mkdir(dir.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return failed("can't be made");
  struct stat info{};
  if (stat(dir.c_str(), &info) != 0) return failed("can't be looked at");
  if (!S_ISDIR(info.st_mode)) return Error{name + ": is not a folder"};
  if (info.st_uid != geteuid() && info.st_uid != 0)
    return Error{name + ": belongs to another user (uid " + std::to_string(info.st_uid) + ")"};
  if ((info.st_mode & 0022) != 0)
    return Error{name + ": others may write to it (chmod 700 it, or name another folder)"};
  if ((info.st_mode & 0077) == 0 || info.st_uid != geteuid()) return {};
  const bool ours =
      std::filesystem::exists(dir / marker, error) || std::filesystem::is_empty(dir, error);
  if (ours && chmod(dir.c_str(), 0700) != 0) return failed("can't be made private");
  return {};
}

Result<void> act_as_owner_of(const std::filesystem::path& dir) {
  if (geteuid() != 0) return {};
  std::filesystem::path at = std::filesystem::absolute(dir);
  struct stat info{};
  while (stat(at.c_str(), &info) != 0 && at.has_relative_path())
    at = at.parent_path();
  // A folder that others may write to (/tmp) says nothing about who shall own what is made in it.
  if (info.st_uid == 0 || (info.st_mode & 0022) != 0) return {};
  if (setgroups(0, nullptr) != 0 || setgid(info.st_gid) != 0 || setuid(info.st_uid) != 0)
    return Error{printable(at.string(), 300) + ": can't become its owner (uid " +
                 std::to_string(info.st_uid) + "): " + std::strerror(errno)};
  return {};
}

} // namespace hubgate
