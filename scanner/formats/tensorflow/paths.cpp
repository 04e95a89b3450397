#include "scanner/formats/tensorflow/paths.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate::tensorflow {
namespace {

constexpr std::array<std::string_view, 9> k_roots{
    "/etc/", "/proc/", "/sys/", "/dev/", "/root/", "/boot/", "/run/", "/var/run/", "c:/windows",
};
constexpr std::array<std::string_view, 12> k_parts{
    "/.ssh",    "/.aws",   "/.kube",
    "/.config", "/.netrc", "/.docker",
    "id_rsa",   "/.bash",  "/.cache/huggingface",
    "/.git",    "/.env",   "/.profile",
};

} // namespace

PathKind kind_of(std::string_view path) {
  if (path.starts_with("file://")) path.remove_prefix(7);
  std::string lower(path.substr(0, 4096));
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c == '\\' ? '/' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto scheme = lower.find("://");
  if (scheme != std::string::npos && scheme > 0 && scheme < 12 && !lower.starts_with("ram://"))
    return PathKind::network;
  if (lower.starts_with("~") || lower.starts_with("../") || lower.find("/../") != std::string::npos)
    return PathKind::sensitive;
  for (const std::string_view part: k_parts)
    if (lower.find(part) != std::string::npos) return PathKind::sensitive;
  const bool drive = lower.size() > 2 && lower[1] == ':' && lower[2] == '/';
  if (!lower.starts_with('/') && !drive) return PathKind::relative;
  for (const std::string_view root: k_roots)
    if (lower.starts_with(root)) return PathKind::sensitive;
  return PathKind::absolute;
}

} // namespace hubgate::tensorflow
