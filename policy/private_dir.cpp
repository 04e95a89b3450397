#include "policy/private_dir.hpp"

#include "scanner/core/evidence.hpp"

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

} // namespace hubgate
