#include "scanner/formats/archive/members.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

// PATH_MAX of Linux: a longer name can't be made by any extractor.
constexpr std::size_t k_longest_name = 4096;
// Names beyond this are kept cut, so that a million long names stay in memory.
constexpr std::size_t k_kept_name = 200;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_letter(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}

bool is_separator(char c) {
  return c == '/' || c == '\\';
}

template <typename Visit> void each_part(std::string_view path, Visit visit) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i < path.size() && !is_separator(path[i])) continue;
    visit(path.substr(begin, i - begin));
    begin = i + 1;
  }
}

bool is_absolute(std::string_view name) {
  if (name.empty()) return false;
  return is_separator(name[0]) || (name.size() >= 2 && is_letter(name[0]) && name[1] == ':');
}

// Names that Windows opens as devices, with any extension.
bool is_windows_device(std::string_view part) {
  const std::string_view stem = part.substr(0, part.find('.'));
  std::string folded(stem);
  std::transform(folded.begin(), folded.end(), folded.begin(), lower);
  constexpr std::array<std::string_view, 4> k_names{"con", "prn", "aux", "nul"};
  if (std::find(k_names.begin(), k_names.end(), folded) != k_names.end()) return true;
  return folded.size() == 4 && (folded.starts_with("com") || folded.starts_with("lpt")) &&
         folded[3] >= '1' && folded[3] <= '9';
}

// An NTFS stream: "file.ext:stream.ext" or "name:$DATA". A time of day has a colon too.
bool is_alternate_stream(std::string_view part) {
  const std::size_t colon = part.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view stream = part.substr(colon + 1);
  return (part.substr(0, colon).find('.') != std::string_view::npos &&
          stream.find('.') != std::string_view::npos) ||
         stream.find('$') != std::string_view::npos;
}

std::string_view trick_of(std::string_view name) {
  if (name.find('\0') != std::string_view::npos)
    return "a NUL in the name: readers in C see only what is before it";
  // escaped() shows what a terminal or a browser would not.
  bool control = false;
  for (const char c: name)
    control = control || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  if (control) return "a control character in the name";
  if (escaped(name).find("\\u{") != std::string::npos)
    return "a bidirectional or invisible character in the name: it shows as another name";
  if (name.find('\\') != std::string_view::npos)
    return "a backslash in the name: a folder on Windows, a plain character elsewhere";
  std::string_view found;
  each_part(name, [&](std::string_view part) {
    if (part.empty() || part == "." || part == "..") return;
    if (part.back() == '.' || part.back() == ' ')
      found = "a dot or blank at the end of the name, which Windows drops";
    if (is_alternate_stream(part)) found = "an NTFS stream in the name";
    if (is_windows_device(part)) found = "the name of a Windows device";
  });
  return found;
}

std::string kept(std::string_view path) {
  if (path.size() <= k_kept_name) return std::string(path);
  return std::string(path.substr(0, k_kept_name)) + '#' +
         std::to_string(std::hash<std::string_view>{}(path));
}

} // namespace

std::string canonical_path(std::string_view name) {
  std::string out;
  each_part(name, [&](std::string_view part) {
    if (part.empty() || part == ".") return;
    if (!out.empty()) out += '/';
    out += part;
  });
  return out;
}

bool climbs_out(std::string_view path, std::size_t depth) {
  bool out = false;
  each_part(path, [&](std::string_view part) {
    if (part.empty() || part == ".") return;
    if (part != "..")
      ++depth;
    else if (depth == 0)
      out = true;
    else
      --depth;
  });
  return out;
}

void MemberNames::check_name(std::string_view name, std::uint64_t offset) {
  if (is_absolute(name) || climbs_out(name, 0))
    session_.find(archive_rules::traversal, offset, 0, name);
  if (const std::string_view trick = trick_of(name); !trick.empty())
    session_.find(archive_rules::name_trick, offset, 0,
                  std::string(trick) + ": " + std::string(name.substr(0, k_longest_name)));
  if (name.size() > k_longest_name)
    session_.find(archive_rules::name_too_long, offset, name.size(),
                  std::to_string(name.size()) + " bytes: " + std::string(name.substr(0, 100)));
}

void MemberNames::check_duplicate(const MemberFacts& member) {
  const std::string path = kept(canonical_path(member.name));
  if (member.kind == MemberKind::directory || path.empty()) return;
  std::string folded = path;
  std::transform(folded.begin(), folded.end(), folded.begin(), lower);
  const bool same = !paths_.insert(path).second;
  const bool alike = !folded_.insert(std::move(folded)).second;
  if (same)
    session_.find(archive_rules::duplicate_name, member.offset, 0,
                  "two members are named " + std::string(member.name), {.severity = duplicate_});
  else if (alike)
    session_.find(archive_rules::case_collision, member.offset, 0,
                  "two members are named like " + std::string(member.name) +
                      " when case is ignored");
}

void MemberNames::check_link(const MemberFacts& member) {
  const std::string path = canonical_path(member.name);
  const auto depth = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
  const std::string evidence = std::string(member.name) + " -> " + std::string(member.target);
  if (!links_.empty()) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      if (links_.contains(kept(std::string_view(path).substr(0, slash)))) {
        session_.find(archive_rules::link_through, member.offset, 0, evidence);
        break;
      }
  }
  switch (member.kind) {
  case MemberKind::symlink:
  case MemberKind::hardlink: {
    // A symbolic link counts from its own folder, a hard link from the root of the archive.
    const std::size_t start = member.kind == MemberKind::symlink ? depth : 0;
    const bool escapes = is_absolute(member.target) || climbs_out(member.target, start);
    session_.find(escapes ? archive_rules::link_escape : archive_rules::link, member.offset, 0,
                  evidence);
    if (member.kind == MemberKind::symlink) links_.insert(kept(path));
    break;
  }
  case MemberKind::device:
    session_.find(archive_rules::device, member.offset, 0, member.name);
    break;
  case MemberKind::file:
  case MemberKind::directory:
    break;
  }
}

void MemberNames::check(const MemberFacts& member) {
  check_name(member.name, member.offset);
  check_link(member);
  check_duplicate(member);
}

} // namespace hubgate
