#include "scanner/config/paths.hpp"

#include <algorithm>
#include <array>

namespace hubgate::config {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// One slash, small letters, and no percent-encoded dots or slashes.
std::string normal(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '%' && i + 2 < path.size()) {
      const char high = path[i + 1];
      const char low = lower(path[i + 2]);
      if (high == '2' && low == 'e') {
        out += '.';
        i += 2;
        continue;
      }
      if ((high == '2' && low == 'f') || (high == '5' && low == 'c')) {
        out += '/';
        i += 2;
        continue;
      }
    }
    out += c == '\\' ? '/' : lower(c);
  }
  return out;
}

std::string_view scheme_of(std::string_view path) {
  const std::size_t colon = path.find(':');
  if (colon == std::string_view::npos || colon < 2 || !is_letter(path[0])) return {};
  for (const char c: path.substr(0, colon))
    if (!is_letter(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') return {};
  const std::string_view scheme = path.substr(0, colon);
  if (path.substr(colon, 3) == "://" || scheme == "file") return scheme;
  return {};
}

// Folders and files that hold secrets or the state of the machine, as one path component.
constexpr std::array<std::string_view, 20> k_secret_parts{
    ".ssh",          ".aws",    ".gnupg",     ".kube",
    ".docker",       ".netrc",  "_netrc",     ".git-credentials",
    ".pgpass",       "id_rsa",  "id_ed25519", "shadow",
    ".bash_history", ".bashrc", ".zshrc",     "authorized_keys",
    ".profile",      ".azure",  ".gcloud",    ".npmrc"};
constexpr std::array<std::string_view, 3> k_system_roots{"etc", "proc", "windows"};

} // namespace

PathFacts judge_path(std::string_view raw) {
  PathFacts out;
  const std::string path = normal(raw.substr(0, 4096));
  std::string_view rest = path;
  if (const std::string_view scheme = scheme_of(rest); !scheme.empty()) {
    out.chained = rest.find("::") != std::string_view::npos;
    out.kind = scheme == "file" ? PathKind::file_url
               : scheme == "hf" ? PathKind::hub_url
                                : PathKind::url;
    if (out.chained && rest.find("::file:") != std::string_view::npos)
      out.kind = PathKind::file_url;
    rest.remove_prefix(scheme.size() + 1);
  }
  const bool is_path = out.kind == PathKind::relative;
  bool rooted = out.kind == PathKind::file_url;
  if (is_path && !rest.empty()) {
    const bool drive = rest.size() >= 3 && is_letter(rest[0]) && rest[1] == ':' && rest[2] == '/';
    if (drive) rest.remove_prefix(2);
    rooted = rest[0] == '/' || drive || rest == "~" || rest.starts_with("~/");
    if (rooted) out.kind = PathKind::absolute;
  }
  unsigned depth = 0;
  bool first = true;
  for (std::size_t at = 0; at <= rest.size();) {
    const std::size_t slash = std::min(rest.find('/', at), rest.size());
    const std::string_view part = rest.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (depth == 0)
        ++out.climbs;
      else
        --depth;
      continue;
    }
    ++depth;
    if (std::find(k_secret_parts.begin(), k_secret_parts.end(), part) != k_secret_parts.end())
      out.sensitive = true;
    if (first && (rooted || out.climbs > 0) &&
        std::find(k_system_roots.begin(), k_system_roots.end(), part) != k_system_roots.end())
      out.sensitive = true;
    first = false;
  }
  if (is_path && !rooted) {
    if (out.climbs > 0) out.kind = PathKind::traversal;
    // A dotfile of that name inside the repository is nobody's secret.
    if (out.climbs == 0) out.sensitive = false;
  }
  if (out.kind == PathKind::url || out.kind == PathKind::hub_url) {
    out.climbs = 0;
    out.sensitive = false;
  }
  return out;
}

} // namespace hubgate::config
