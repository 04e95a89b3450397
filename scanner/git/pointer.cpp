#include "scanner/git/pointer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace hubgate::git {
namespace {

constexpr std::array<Rule, 8> k_rules{{
    {"lfs-pointer-form", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "GIT-002",
     "an LFS pointer is not written as the specification demands, so "
     "readers may disagree on what it points at"},
    {"lfs-pointer-size", "structure", Severity::suspicious, Reach::load, "CWE-345", "AML.T0076",
     "GIT-002", "an LFS pointer claims another size than its object has"},
    {"lfs-wrong-bytes", "substitution", Severity::malicious, Reach::load, "CWE-345",
     "AML.T0010.003", "GIT-003",
     "the bytes that the server keeps for an LFS object are not those "
     "that its id names"},
    {"lfs-object-missing", "structure", Severity::suspicious, Reach::load, "CWE-345",
     "AML.T0010.003", "GIT-001",
     "an LFS pointer names an object that is not on the server, so "
     "nobody can have looked at it"},
    {"lfs-object-pending", "structure", Severity::suspicious, Reach::load, "CWE-345",
     "AML.T0010.003", "GIT-001",
     "an LFS pointer names an object that is not on the server yet; it will be scanned when it is "
     "(lfs.absent: pending)"},
    {"lfs-to-file", "structure", Severity::suspicious, Reach::data, "CWE-693", "AML.T0010.003",
     "GIT-002",
     "what was in LFS comes as a plain file of Git: checks that look at LFS objects only don't "
     "see it any more"},
    {"lfs-from-file", "structure", Severity::informational, Reach::data, "", "AML.T0010.003",
     "GIT-002", "a plain file of Git became an LFS pointer"},
    {"lfs-track-dropped", "structure", Severity::informational, Reach::data, "", "AML.T0010.003",
     "GIT-002", "files of a pattern don't go to LFS any more"},
}};

constexpr std::array<std::string_view, 3> k_templates{
    "{root}/{0:2}/{2:4}/{4:}", "{root}/{0:2}/{2:4}/{oid}", "{root}/{0}/{1}/{oid}"};

constexpr std::string_view k_version = "https://git-lfs.github.com/spec/v1";
constexpr std::array<std::string_view, 3> k_versions{
    "http://git-media.io/v/2", "https://hawser.github.com/spec/v1", k_version};
constexpr std::string_view k_oid_key = "oid sha256:";
constexpr std::size_t k_oid_digits = 64;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

// The id at the start of `text`, lower-cased.
std::optional<std::string> oid_at(std::string_view text) {
  if (text.size() < k_oid_digits) return std::nullopt;
  std::string out(text.substr(0, k_oid_digits));
  for (char& c: out) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c + ('a' - 'A'));
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
  }
  return out;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

struct Lines {
  explicit Lines(std::string_view text) : rest(text) {}
  /// The next line without its line feed; nothing at the end.
  std::optional<std::string_view> next() {
    if (rest.empty()) return std::nullopt;
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  }
  std::string_view rest;
};

// lfs/pointer.go of git-lfs: keys in the fixed order, ext-N-name lines anywhere between.
bool git_lfs_reads(std::string_view head) {
  static constexpr std::array<std::string_view, 3> k_keys{"version", "oid", "size"};
  Lines lines(trimmed(head));
  std::size_t at = 0;
  while (const auto raw = lines.next()) {
    std::string_view line = *raw;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t blank = line.find(' ');
    if (blank == line.npos || at >= k_keys.size()) return false;
    const std::string_view key = line.substr(0, blank);
    const std::string_view value = line.substr(blank + 1);
    if (key != k_keys[at]) {
      const bool extension = key.starts_with("ext-") && key.size() > 6 && key[4] >= '0' &&
                             key[4] <= '9' && key[5] == '-';
      if (!extension) return false;
      continue;
    }
    if (at == 0 && std::find(k_versions.begin(), k_versions.end(), value) == k_versions.end())
      return false;
    if (at == 1 && (!value.starts_with("sha256:") || !oid_at(value.substr(7)))) return false;
    if (at == 2 && !number(value)) return false;
    ++at;
  }
  return at == k_keys.size();
}

// What the specification demands beyond what git-lfs reads.
std::vector<std::string> problems_of(std::string_view text, std::uint64_t size) {
  std::vector<std::string> out;
  if (size >= k_pointer_max) out.emplace_back("it is not shorter than 1024 bytes");
  if (text.find('\r') != text.npos) out.emplace_back("it has carriage returns");
  std::size_t at = 0;
  bool extensions = false;
  bool extra = false;
  Lines lines(text);
  while (const auto raw = lines.next()) {
    std::string_view line = *raw;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("ext-") && at == 1) {
      extensions = true;
      continue;
    }
    switch (at) {
    case 0:
      if (line.starts_with("version ") && line.substr(8) != k_version)
        out.emplace_back("its version is not the current one");
      else if (!line.starts_with("version "))
        extra = true;
      break;
    case 1: {
      const std::string_view digits =
          line.starts_with(k_oid_key) ? line.substr(k_oid_key.size()) : std::string_view{};
      if (digits.size() != k_oid_digits)
        extra = true;
      else if (oid_at(digits) != digits)
        out.emplace_back("its oid is not in lower case");
      break;
    }
    case 2: {
      const std::string_view digits =
          line.starts_with("size ") ? line.substr(5) : std::string_view{};
      if (!number(digits) || (digits.size() > 1 && digits.front() == '0'))
        out.emplace_back("its size is not a plain number");
      break;
    }
    default:
      extra = true;
    }
    ++at;
  }
  if (extensions)
    out.emplace_back("it has extensions, so a program of the reader's changes the bytes");
  if (extra) out.emplace_back("it has lines that are not version, oid, size in this order");
  if (at < 3) out.emplace_back("it lacks lines");
  if (!text.empty() && text.back() != '\n') out.emplace_back("its last line has no line feed");
  return out;
}

} // namespace

std::span<const Rule> pointer_rules() {
  return k_rules;
}

const Rule& pointer_rule(std::string_view id) {
  return *std::find_if(k_rules.begin(), k_rules.end(),
                       [&](const Rule& rule) { return rule.id == id; });
}

std::span<const std::string_view> default_lfs_templates() {
  return k_templates;
}

std::optional<Pointer> read_pointer(Bytes head, std::uint64_t size) {
  const std::string_view text = as_text(head).substr(0, k_pointer_max);
  const auto mentions = [&](std::string_view word) { return text.find(word) != text.npos; };
  if (!mentions("git-lfs") && !mentions("hawser") && !mentions("git-media")) return std::nullopt;
  // A pointer begins with its version: prose that quotes one is prose.
  if (!trimmed(text).starts_with("version ")) return std::nullopt;

  Pointer out;
  Lines lines(text);
  while (const auto raw = lines.next()) {
    std::string_view line = trimmed(*raw);
    if (line.starts_with("size ") && !out.size) out.size = number(trimmed(line.substr(5)));
    if (!line.starts_with(k_oid_key)) continue;
    const auto oid = oid_at(line.substr(k_oid_key.size()));
    if (!oid) continue;
    if (out.oid.empty())
      out.oid = *oid;
    else if (*oid != out.oid)
      out.other_oids.push_back(*oid);
  }
  if (out.oid.empty()) return std::nullopt;
  out.read_by_git_lfs = git_lfs_reads(text);
  out.problems = problems_of(text, size);
  if (!out.other_oids.empty()) out.problems.emplace_back("it names several objects");
  return out;
}

std::optional<std::string> expand_lfs_path(std::string_view path_template, std::string_view root,
                                           std::string_view oid) {
  std::string out;
  while (!path_template.empty()) {
    const std::size_t open = std::min(path_template.find('{'), path_template.size());
    out += path_template.substr(0, open);
    path_template.remove_prefix(open);
    if (path_template.empty()) break;
    const std::size_t close = path_template.find('}');
    if (close == path_template.npos) return std::nullopt;
    const std::string_view field = path_template.substr(1, close - 1);
    path_template.remove_prefix(close + 1);
    if (field.empty()) return std::nullopt;
    if (field == "root") {
      out += root;
    } else if (field == "oid") {
      out += oid;
    } else {
      const std::size_t colon = std::min(field.find(':'), field.size());
      const auto begin = colon == 0 ? 0 : number(field.substr(0, colon));
      auto end = begin; // "{3}" is one digit
      if (end) ++*end;
      if (colon + 1 == field.size())
        end = oid.size();
      else if (colon < field.size())
        end = number(field.substr(colon + 1));
      if (!begin || !end || *begin >= *end || *end > oid.size()) return std::nullopt;
      out += oid.substr(static_cast<std::size_t>(*begin), static_cast<std::size_t>(*end - *begin));
    }
  }
  return out;
}

} // namespace hubgate::git
