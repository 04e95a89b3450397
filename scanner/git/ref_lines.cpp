#include "scanner/git/ref_lines.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>

namespace hubgate::git {
namespace {

Error bad_line(std::size_t number, std::string_view what) {
  return Error{"line " + std::to_string(number) + " of the ref updates " + std::string(what)};
}

// One escape of a C-style quoted string, quote.c of Git. `at` stands behind the backslash and is
// moved over the escape.
std::optional<char> unescape(std::string_view text, std::size_t& at) {
  if (at >= text.size()) return std::nullopt;
  const char c = text[at++];
  switch (c) {
  case 'a':
    return '\a';
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  case 'v':
    return '\v';
  case '\\':
    return '\\';
  case '"':
    return '"';
  default:
    break;
  }
  if (c < '0' || c > '3' || text.size() - at < 2) return std::nullopt;
  unsigned value = static_cast<unsigned>(c - '0');
  for (int i = 0; i < 2; ++i) {
    const char digit = text[at++];
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value * 8 + static_cast<unsigned>(digit - '0');
  }
  return static_cast<char>(static_cast<unsigned char>(value));
}

} // namespace

bool valid_ref_name(std::string_view name) {
  constexpr std::string_view k_prefix = "refs/";
  if (name.size() <= k_prefix.size() || name.size() > 4096 || !name.starts_with(k_prefix) ||
      name.back() == '.' || name.back() == '/')
    return false;
  if (name.find("..") != name.npos || name.find("@{") != name.npos) return false;
  for (const char c: name) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte <= 0x20 || byte == 0x7f ||
        std::string_view("~^:?*[\\").find(c) != std::string_view::npos)
      return false;
  }
  // No component is empty, begins with a dot or ends in ".lock".
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part.front() == '.' || part.ends_with(".lock")) return false;
    begin = end + 1;
  }
  return true;
}

Result<std::vector<RefUpdate>> parse_ref_lines(std::string_view text) {
  std::vector<RefUpdate> out;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    if (end == text.npos) return bad_line(number, "is cut: it has no line feed");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);

    const std::size_t first = line.find(' ');
    const std::size_t second = first == line.npos ? line.npos : line.find(' ', first + 1);
    if (second == line.npos) return bad_line(number, "is not \"<old> <new> <ref>\"");
    const std::string_view before = line.substr(0, first);
    const std::string_view after = line.substr(first + 1, second - first - 1);
    const std::string_view name = line.substr(second + 1);
    const auto old_id = Oid::from_hex(before);
    const auto new_id = Oid::from_hex(after);
    if (!old_id || !new_id)
      return bad_line(number, "has an object id that is not 40 or 64 hex digits");
    if (old_id->size != new_id->size || (!out.empty() && out.front().after.size != new_id->size))
      return bad_line(number, "has object ids of another length than others");
    if (!valid_ref_name(name))
      return bad_line(number, "names the ref \"" + printable(name, 100) + "\", which Git forbids");
    if (old_id->is_zero() && new_id->is_zero())
      return bad_line(number, "neither creates, changes nor deletes its ref");
    out.push_back({*old_id, *new_id, std::string(name)});
  }
  if (out.empty()) return Error{"no ref updates on standard input: Git runs this hook, not people"};
  return out;
}

std::optional<std::vector<std::string>> parse_alternates(std::string_view list) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < list.size()) {
    if (list[at] == '"') {
      ++at;
      std::string entry;
      while (at < list.size() && list[at] != '"') {
        if (list[at] != '\\') {
          entry += list[at++];
          continue;
        }
        ++at;
        const auto c = unescape(list, at);
        if (!c) return std::nullopt;
        entry += *c;
      }
      if (at >= list.size()) return std::nullopt; // no closing quote
      ++at;
      if (at < list.size() && list[at] != ':') return std::nullopt;
      ++at;
      if (!entry.empty()) out.push_back(std::move(entry));
      continue;
    }
    const std::size_t end = std::min(list.find(':', at), list.size());
    const std::string_view entry = list.substr(at, end - at);
    if (!entry.empty() && entry.front() != '#') out.emplace_back(entry);
    at = end + 1;
  }
  return out;
}

} // namespace hubgate::git
