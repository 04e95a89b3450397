#include "scanner/code/python/analyse.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/tree/judge.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace tree {
namespace {

// In the order of RuleId.
constexpr std::array<Rule, 23> k_rules{{
    {"tree-reference-outside", "traversal", Severity::suspicious, Reach::load, "CWE-22",
     "AML.T0011.000", "PTH-021 ONX-001",
     "a file names another one outside of the repository, so whoever loads it reads what lies "
     "there"},
    {"tree-reference-missing", "reference", Severity::informational, Reach::data, "", "", "PTH-021",
     "a file names another one that is not in the repository"},
    {"tree-reference-link", "link", Severity::suspicious, Reach::load, "CWE-59", "AML.T0011.000",
     "ONX-002 GIT-006", "a file that another one names is a symbolic link, or lies behind one"},
    {"tree-companion-short", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "ONX-005", "a file has fewer bytes than another one reads from it"},
    {"tree-index-kind", "pickle", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "PTH-021", "an index of safetensors shards names a file that is unpickled when it is loaded"},
    {"tree-code-missing", "reference", Severity::informational, Reach::load, "", "", "CFG-001",
     "a configuration names code of this repository that is not there"},
    {"tree-code-reached", "code", Severity::suspicious, Reach::load, "CWE-829", "AML.T0011.000",
     "DAT-021 CFG-001",
     "code in which something was found runs when this repository is loaded, because another file "
     "names or imports it"},
    {"tree-code-hidden", "code", Severity::suspicious, Reach::load, "CWE-829", "AML.T0011.000",
     "DAT-021", "the loader runs code that lies where nobody looks for code"},
    {"tree-remote-code", "remote-code", Severity::suspicious, Reach::load, "CWE-829",
     "AML.T0011.000", "CFG-001 GIT-016",
     "the loader runs code of another repository, which can change at any time"},
    {"tree-other-repository", "reference", Severity::informational, Reach::data, "", "",
     "GIT-016 CFG-007", "another repository is loaded with this one"},
    {"tree-shadow-module", "shadowing", Severity::malicious, Reach::load, "CWE-427",
     "AML.T0011.000", "CFG-022",
     "a module in the root of the repository has the name of a library, so Python runs it in the "
     "library's place"},
    {"tree-unsafe-twin", "pickle", Severity::informational, Reach::load, "CWE-502", "AML.T0010.003",
     "SAF-009",
     "the same weights lie there as safetensors and in a format that can carry code; loaders may "
     "be told to take the second"},
    {"tree-poisoned-twin", "pickle", Severity::malicious, Reach::load, "CWE-502", "AML.T0010.003",
     "SAF-009",
     "beside clean safetensors lies a copy in another format in which something was found"},
    {"tree-fake-weights", "deception", Severity::suspicious, Reach::data, "", "AML.T0074",
     "CNT-010", "the weights are far smaller than what describes them says"},
    {"tree-case-duplicate", "deceptive-name", Severity::suspicious, Reach::data, "CWE-178",
     "AML.T0010.003", "GIT-009",
     "two paths differ in upper and lower case only: on many systems one overwrites the other"},
    {"tree-link-outside", "link", Severity::malicious, Reach::load, "CWE-59", "AML.T0010.003",
     "GIT-006", "a symbolic link leads out of the repository or into .git"},
    {"tree-submodule", "reference", Severity::informational, Reach::data, "CWE-829", "", "GIT-007",
     "a submodule: its files come from another repository and were not looked at"},
    {"tree-lfs-pointer", "reference", Severity::informational, Reach::data, "", "", "GIT-001",
     "a Git LFS pointer stands where the file should be"},
    {"tree-template-differs", "deception", Severity::suspicious, Reach::load, "CWE-912",
     "AML.T0076", "GGF-003",
     "one file of a model carries another chat template than its siblings: the hub shows one of "
     "them"},
    {"tree-entry-point", "code", Severity::informational, Reach::load, "", "AML.T0011.000",
     "CFG-014 CFG-015 DAT-001", "code of the repository that somebody else's program starts"},
    {"tree-named-skops", "pickle", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "JNP-015",
     "a pickle under the name of a format that promises to have none: tools that open what they "
     "are given unpickle it"},
    {"tree-licence-differs", "licence", Severity::informational, Reach::data, "", "", "CNT-003",
     "the weights state other terms of use than the card"},
    {"tree-described", "reference", Severity::informational, Reach::data, "", "", "",
     "no format claims this file; another one of the repository says what all of its bytes are"},
}};

} // namespace

const Rule& rule(RuleId id) {
  return k_rules[static_cast<std::size_t>(id)];
}

} // namespace tree

std::span<const Rule> tree_rules() {
  return tree::k_rules;
}

std::string tree_key(std::span<const TreeEntry> entries, std::string_view repo) {
  std::vector<const TreeEntry*> sorted;
  sorted.reserve(entries.size());
  for (const auto& entry: entries)
    sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const TreeEntry* a, const TreeEntry* b) { return a->path < b->path; });
  BlockHasher hasher;
  const auto field = [&hasher](std::string_view text) {
    hasher.update(as_bytes(text));
    hasher.update(as_bytes(std::string_view("\0", 1)));
  };
  field("hubgate tree 2");
  field(engine_version());
  field(tree::modules_version());
  for (const auto rules: {tree_rules(), python::python_rules()})
    for (const Rule& rule: rules) {
      field(rule.id);
      field(to_string(rule.severity));
    }
  field(repo);
  for (const TreeEntry* entry: sorted) {
    field(entry->path);
    field(std::to_string(static_cast<int>(entry->mode)));
    field(entry->sha256);
    // A link is its target, and a pointer without its object is not the object.
    field(entry->target);
    field(entry->pointer ? "pointer" : "");
  }
  return hex(hasher.finish().sha256);
}

} // namespace hubgate
