#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <vector>

namespace hubgate {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_address(std::string_view text) {
  const std::size_t colon = text.find("://");
  return colon != std::string_view::npos && colon > 0 &&
         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
           return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
         });
}

bool is_absolute(std::string_view text) {
  if (text.empty()) return false;
  if (text[0] == '/' || text[0] == '\\' || text[0] == '~') return true;
  return text.size() > 2 && is_letter(text[0]) && text[1] == ':' &&
         (text[2] == '/' || text[2] == '\\');
}

void append_parts(std::string_view text, std::vector<std::string_view>& parts, bool& climbs) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("/\\"), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      climbs = true;
      return;
    } else {
      parts.pop_back();
    }
  }
}

} // namespace

ResolvedPath resolve_path(std::string_view from, std::string_view target) {
  if (is_address(target)) return {PathKind::address, {}};
  if (is_absolute(target)) return {PathKind::absolute, {}};
  std::vector<std::string_view> parts;
  bool climbs = false;
  const std::string_view folder = folder_of(from);
  for (std::string_view rest = folder; !rest.empty();) { // names of the repository: '/' only
    const std::size_t end = std::min(rest.find('/'), rest.size());
    parts.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  append_parts(target, parts, climbs);
  if (climbs) return {PathKind::climbs, {}};
  ResolvedPath out;
  for (const auto part: parts) {
    if (!out.path.empty()) out.path += '/';
    out.path += part;
  }
  return out;
}

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

} // namespace hubgate
