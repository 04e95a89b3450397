// What a loose object of Git unpacks to: "KIND SIZE\0" and the content. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/formats/git_object/tree.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::array<Rule, 1> k_rules{{
    {"git-tree-name", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0011.000",
     "GIT-009",
     "a name in a tree or index leads out of the folder that Git writes to, or into .git"},
}};

constexpr std::size_t k_longest_prefix = 28; ///< "commit", a blank, twenty digits, NUL

Claim probe(const Probe& probe) {
  const auto prefix = git::read_prefix(probe.head);
  if (!prefix) return Claim::no;
  return !probe.size_known || probe.size == prefix->length + prefix->size ? Claim::maybe
                                                                          : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const Bytes head = source.view(0, k_longest_prefix);
  const std::vector<std::uint8_t> copy(head.begin(), head.end());
  const auto prefix = git::read_prefix(copy);
  if (!prefix || source.wait_end() != prefix->length + prefix->size) return Reading::none;
  if (prefix->kind == "tree")
    return git::judge_tree(source, session, prefix->length, prefix->length + prefix->size, 0)
               ? Reading::valid
               : Reading::none;
  if (prefix->size == 0) return Reading::valid;
  SubSource content(source, prefix->length, prefix->size);
  session.member(prefix->kind, content);
  return Reading::valid;
}

} // namespace

namespace git {

const Rule& k_rule_tree_name = k_rules[0];

std::optional<ObjectPrefix> read_prefix(Bytes head) {
  const std::string_view text = as_text(head.first(std::min(head.size(), k_longest_prefix)));
  const std::size_t blank = text.find(' ');
  const std::size_t nul = text.find('\0');
  if (blank == std::string_view::npos || nul == std::string_view::npos || nul < blank + 2)
    return std::nullopt;
  constexpr std::array<std::string_view, 4> k_kinds{"blob", "tree", "commit", "tag"};
  ObjectPrefix out;
  for (const std::string_view kind: k_kinds)
    if (text.substr(0, blank) == kind) out.kind = kind;
  const std::string_view digits = text.substr(blank + 1, nul - blank - 1);
  if (out.kind.empty() || digits.size() > 18 || (digits.size() > 1 && digits[0] == '0'))
    return std::nullopt;
  for (const char c: digits) {
    if (c < '0' || c > '9') return std::nullopt;
    out.size = out.size * 10 + static_cast<std::uint64_t>(c - '0');
  }
  out.length = nul + 1;
  return out;
}

bool is_trick(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    std::string name(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    for (char& c: name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (name == "." || name == ".." || name == ".git") return true;
  }
  return false;
}

bool judge_tree(Source& source, Session& session, std::uint64_t begin, std::uint64_t end,
                std::uint64_t at) {
  constexpr std::size_t k_longest_name = 4096;
  constexpr std::size_t k_told = 20;
  for (const std::size_t id: {std::size_t{20}, std::size_t{32}}) {
    Cursor in(source, begin, end);
    std::vector<std::string> tricks;
    bool good = true;
    while (good && in.position() < end) {
      // Mode, blank, name, NUL: as long as there are bytes, at most a long name.
      const std::uint64_t here = in.position();
      std::string entry;
      std::optional<std::uint8_t> c;
      while (entry.size() <= k_longest_name && (c = in.le<std::uint8_t>()) && *c != 0)
        entry += static_cast<char>(*c);
      const std::size_t blank = entry.find(' ');
      good = c && *c == 0 && (blank == 5 || blank == 6) && entry.size() > blank + 1 &&
             entry.find_first_not_of("01234567") == blank && in.skip(id) && in.position() > here;
      const std::string name = good ? entry.substr(blank + 1) : "";
      if (good && (is_trick(name) || name.find('/') != std::string::npos) && tricks.size() < k_told)
        tricks.push_back(name);
      good = good && session.budget().time_left();
    }
    if (!good) continue;
    for (const std::string& name: tricks)
      session.find(k_rule_tree_name, at, 0, "a tree has the name \"" + name + "\"");
    return true;
  }
  return false;
}

} // namespace git

extern const Format format_git_object;
const Format format_git_object{"git_object", "git_object", probe, scan, k_rules};

} // namespace hubgate
