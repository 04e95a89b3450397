// Terms of use that weights carry in their metadata, and those of the card beside them (CNT-003).
#include "scanner/core/glob.hpp"
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <set>

namespace hubgate::tree {
namespace {

// "Apache License 2.0" and "apache-2.0" are one; "" for what names no terms.
std::string licence_name(std::string_view text) {
  std::string name = lower_case(text);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == '_' || c == ','; }, '-');
  if (name.find("://") != std::string::npos || name == "other" || name == "unknown" ||
      name == "custom" || name == "none")
    return "";
  if (name.find("apache") != std::string::npos && name.find('2') != std::string::npos)
    return "apache-2.0";
  for (const std::string_view word: {"the-", "-license", "-licence", "license-", "version-"})
    if (const std::size_t at = name.find(word); at != std::string::npos)
      name.erase(at, word.size());
  return name;
}

std::set<std::string> licences_of(const TreeEntry& entry) {
  std::set<std::string> out;
  if (entry.report == nullptr) return out;
  for (const Reference& reference: entry.report->references)
    if (reference.kind == "licence" && reference.where.empty() &&
        holds_under(reference.condition, reference.where, entry.path))
      out.insert(licence_name(reference.target));
  out.erase("");
  return out;
}

} // namespace

void judge_licences(Judge& judge) {
  const std::size_t card = judge.find("README.md");
  if (card == k_none) return;
  const std::set<std::string> stated = licences_of(judge.entries[card]);
  if (stated.empty()) return;
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    if (i == card) continue;
    for (const std::string& other: licences_of(judge.entries[i]))
      if (!stated.contains(other))
        judge.add(rule(RuleId::licence_differs), judge.entries[i].path,
                  "\"" + other + "\" in its metadata, \"" + *stated.begin() + "\" in README.md");
  }
}

} // namespace hubgate::tree
