#include "scanner/git/tree_check.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace hubgate::git {
namespace {

constexpr std::array<Rule, 9> k_rules{{
    {"git-tree-name", "structure", Severity::malicious, Reach::load, "CWE-22", "AML.T0010.003",
     "GIT-009",
     "a tree has a name that a checkout would write somewhere else: \".git\" in some "
     "spelling, \"..\", a slash"},
    {"git-tree-order", "structure", Severity::malicious, Reach::load, "CWE-694", "AML.T0010.003",
     "GIT-009", "a tree has a name twice or out of order, so two readers see different files"},
    {"git-tree-mode", "structure", Severity::malicious, Reach::load, "CWE-20", "AML.T0010.003",
     "GIT-009", "a tree has an entry of a kind that Git doesn't have"},
    {"git-tree-case", "structure", Severity::suspicious, Reach::load, "CWE-178", "AML.T0010.003",
     "GIT-009", "two names differ in case only: on Windows and macOS one hides the other"},
    {"git-tree-odd-name", "structure", Severity::suspicious, Reach::load, "CWE-20", "AML.T0010.003",
     "GIT-009",
     "a name has a backslash or control characters, or a mode is "
     "written in an odd way"},
    {"git-tree-case-link", "structure", Severity::malicious, Reach::load, "CWE-59", "AML.T0010.003",
     "GIT-009",
     "a symbolic link and another entry differ in case only: a checkout "
     "on Windows or macOS writes through the link"},
    {"git-tree-control-link", "structure", Severity::malicious, Reach::load, "CWE-59",
     "AML.T0010.003", "GIT-009", "a file that Git reads its configuration from is a symbolic link"},
    {"git-tree-control-name", "structure", Severity::malicious, Reach::load, "CWE-178",
     "AML.T0010.003", "GIT-009",
     "a name that Windows or macOS takes for a file that Git reads its configuration from, and "
     "that nothing else takes for it"},
    {"git-submodule-entry", "reference", Severity::suspicious, Reach::load, "CWE-829",
     "AML.T0010.003", "GIT-007",
     "a submodule: what a checkout puts there is in another repository and was not looked at"},
}};

const Rule& k_name = k_rules[0];
const Rule& k_order = k_rules[1];
const Rule& k_mode = k_rules[2];
const Rule& k_case = k_rules[3];
const Rule& k_odd_name = k_rules[4];
const Rule& k_case_link = k_rules[5];
const Rule& k_control_link = k_rules[6];
const Rule& k_control_name = k_rules[7];
const Rule& k_submodule = k_rules[8];

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    c = lower(c);
  return out;
}

// Code points that HFS+ leaves out of a name when it compares (utf8.c of Git): U+200C..200F,
// 202A..202E, 206A..206F, FEFF. In UTF-8 all have three bytes.
bool is_ignored_by_hfs(std::string_view text, std::size_t at) {
  if (text.size() - at < 3) return false;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  if (byte(0) == 0xe2 && byte(1) == 0x80)
    return (byte(2) >= 0x8c && byte(2) <= 0x8f) || (byte(2) >= 0xaa && byte(2) <= 0xae);
  if (byte(0) == 0xe2 && byte(1) == 0x81) return byte(2) >= 0xaa && byte(2) <= 0xaf;
  return byte(0) == 0xef && byte(1) == 0xbb && byte(2) == 0xbf;
}

std::string without_ignored(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size();) {
    if (is_ignored_by_hfs(name, i)) {
      i += 3;
      continue;
    }
    out += name[i++];
  }
  return out;
}

// What NTFS makes of a name: the stream is cut off, blanks and dots at the end are dropped.
std::string_view on_ntfs(std::string_view name) {
  name = name.substr(0, name.find(':'));
  while (!name.empty() && (name.back() == ' ' || name.back() == '.'))
    name.remove_suffix(1);
  return name;
}

bool component_is_dot_git(std::string_view name) {
  if (name.size() < 4) return false;
  const std::string ntfs = lower(on_ntfs(name));
  return ntfs == ".git" || ntfs == "git~1" || lower(without_ignored(name)) == ".git";
}

// The components between slashes and backslashes.
std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t end = path.find_first_of("/\\");
    out.push_back(path.substr(0, end));
    if (end == path.npos) return out;
    path.remove_prefix(end + 1);
  }
}

bool leads_elsewhere(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return true;
  // Nearly all names: plain characters, and no first letter that ".git" or "git~1" could have.
  const bool plain = std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || static_cast<std::uint8_t>(c) >= 0x80;
  });
  if (plain && name.front() != '.' && lower(name.front()) != 'g') return false;
  if (name.find('/') != name.npos) return true;
  const auto parts = components(name);
  return std::any_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part == ".." || component_is_dot_git(part);
  });
}

bool is_odd(const TreeEntry& entry) {
  if (entry.zero_padded || entry.name.size() > 4096) return true;
  return std::any_of(entry.name.begin(), entry.name.end(), [](char c) {
    return c == '\\' || c == 0x7f || static_cast<std::uint8_t>(c) < 0x20;
  });
}

bool known_mode(const TreeEntry& entry) {
  for (const Mode mode: {Mode::tree, Mode::file, Mode::shared_file, Mode::executable, Mode::symlink,
                         Mode::submodule})
    if (entry.is(mode)) return true;
  return false;
}

// Entries whose names are the same but for the case of ASCII letters, as neighbours; only where
// there are such. By hash first: comparing names is for those few.
std::vector<std::vector<std::size_t>> same_but_for_case(std::span<const TreeEntry> entries) {
  std::vector<std::pair<std::uint64_t, std::size_t>> hashes;
  hashes.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (const char c: entries[i].name)
      hash = (hash ^ static_cast<std::uint8_t>(lower(c))) * 0x100000001b3u;
    hashes.emplace_back(hash, i);
  }
  std::sort(hashes.begin(), hashes.end());
  std::vector<std::vector<std::size_t>> out;
  for (std::size_t begin = 0; begin < hashes.size();) {
    std::size_t end = begin + 1;
    while (end < hashes.size() && hashes[end].first == hashes[begin].first)
      ++end;
    if (end - begin > 1) {
      std::map<std::string, std::vector<std::size_t>> groups;
      for (std::size_t i = begin; i < end; ++i)
        groups[lower(entries[hashes[i].second].name)].push_back(hashes[i].second);
      for (auto& [name, group]: groups)
        if (group.size() > 1) out.push_back(std::move(group));
    }
    begin = end;
  }
  return out;
}

} // namespace

const Rule& submodule_rule() {
  return k_submodule;
}

std::string submodule_evidence(const Oid& commit) {
  return "commit " + commit.hex() + " of another repository";
}

ControlFile control_file(std::string_view name) {
  const std::string folded = lower(without_ignored(on_ntfs(name)));
  // The short names that NTFS makes (path.c of Git: is_ntfs_dotgitmodules).
  if (folded == ".gitmodules" || folded == ".lfsconfig" || folded == "gitmod~1" ||
      folded == "lfscon~1")
    return ControlFile::config;
  if (folded == ".gitattributes" || folded == "gitatt~1") return ControlFile::attributes;
  if (folded == ".gitignore" || folded == ".mailmap") return ControlFile::other;
  return ControlFile::none;
}

std::span<const Rule> tree_rules() {
  return k_rules;
}

// The order of a tree: names as bytes, a directory as if its name ended in a slash.
bool comes_before(const TreeEntry& a, const TreeEntry& b) {
  const std::size_t shared = std::min(a.name.size(), b.name.size());
  const int order = a.name.substr(0, shared).compare(b.name.substr(0, shared));
  if (order != 0) return order < 0;
  const auto next = [&](const TreeEntry& entry) -> int {
    if (entry.name.size() > shared) return static_cast<std::uint8_t>(entry.name[shared]);
    return entry.is_tree() ? '/' : 0;
  };
  return next(a) < next(b);
}

bool is_dot_git(std::string_view name) {
  return component_is_dot_git(name);
}

std::vector<TreeProblem> check_tree(std::span<const TreeEntry> entries, std::size_t most) {
  std::vector<TreeProblem> out;
  // Of each rule by itself: many of a harmless one must not hide what is worse.
  std::map<const Rule*, std::size_t> told;
  const auto report = [&](const Rule& rule, std::string evidence) {
    if (++told[&rule] <= most) out.push_back({&rule, std::move(evidence)});
  };
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const TreeEntry& entry = entries[i];
    const auto name = [&] { return std::string(entry.name); };
    if (leads_elsewhere(entry.name))
      report(k_name, "a tree names an entry \"" + name() + "\"");
    else if (is_odd(entry))
      report(k_odd_name, "a tree names an entry \"" + name() + "\"" +
                             (entry.zero_padded ? " with a zero-padded mode" : ""));
    if (!known_mode(entry)) {
      static constexpr std::string_view k_digits = "01234567";
      std::string octal;
      for (std::uint32_t rest = entry.mode; rest != 0; rest /= 8)
        octal.insert(octal.begin(), k_digits[rest % 8]);
      report(k_mode, "\"" + name() + "\" has the mode " + (octal.empty() ? "0" : octal));
    }
    if (entry.oid.is_zero()) report(k_mode, "\"" + name() + "\" has the null object id");
    if (control_file(entry.name) != ControlFile::none) {
      const std::string plain = lower(entry.name);
      if (entry.is_symlink())
        report(k_control_link, "\"" + name() + "\" is a symbolic link");
      else if (plain.find_first_of(":~") != plain.npos || plain.back() == '.' ||
               plain.back() == ' ' || plain != without_ignored(plain))
        report(k_control_name, "a tree names an entry \"" + name() + "\"");
    }
    if (i > 0 && entries[i - 1].name != entry.name && !comes_before(entries[i - 1], entry))
      report(k_order, "\"" + name() + "\" is out of order");
  }
  // A file and a directory of one name need not be neighbours, so order alone doesn't show them.
  for (const auto& group: same_but_for_case(entries))
    for (std::size_t i = 1; i < group.size(); ++i) {
      const TreeEntry& one = entries[group[i - 1]];
      const TreeEntry& other = entries[group[i]];
      if (one.name == other.name) {
        report(k_order, "\"" + std::string(one.name) + "\" is there twice");
        continue;
      }
      const bool link = one.is_symlink() || other.is_symlink();
      report(link ? k_case_link : k_case,
             "\"" + std::string(one.name) + "\" and \"" + std::string(other.name) + "\"");
    }
  return out;
}

LinkTarget link_target(std::string_view path, std::string_view target) {
  // A target with a NUL is cut there by the system call that makes the link.
  target = target.substr(0, target.find('\0'));
  const bool drive =
      target.size() >= 2 && target[1] == ':' && lower(target[0]) >= 'a' && lower(target[0]) <= 'z';
  const auto parts = components(target);
  for (const auto part: parts)
    if (component_is_dot_git(part)) return LinkTarget::dot_git;
  if (target.starts_with('/') || target.starts_with('\\') || drive) return LinkTarget::outside;
  // Folders between the repository's root and the link.
  auto depth = static_cast<std::ptrdiff_t>(std::count(path.begin(), path.end(), '/'));
  for (const auto part: parts) {
    if (part.empty() || part == ".") continue;
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return LinkTarget::outside;
  }
  return LinkTarget::inside;
}

} // namespace hubgate::git
