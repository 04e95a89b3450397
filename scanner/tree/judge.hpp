#pragma once
// What the parts of the tree pass share: the entries by path, and the report that they write.
// Internal to scanner/tree.
#include "scanner/tree/libraries.hpp"
#include "scanner/tree/tree.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace hubgate::tree {

inline constexpr std::size_t k_none = ~std::size_t{0};

/// What a file's own report says of it, under its path.
struct FileVerdict {
  std::optional<Severity> worst;    ///< above informational
  const Finding* finding = nullptr; ///< the first of the worst
};

/// One edge: `from` makes its loader run `to`.
struct CodeEdge {
  std::size_t from = 0;
  std::size_t to = 0;
};

struct Judge {
  Judge(std::span<const TreeEntry> entries_, const TreeOptions& options_);

  std::span<const TreeEntry> entries;
  const TreeOptions& options;
  std::unordered_map<std::string_view, std::size_t> by_path;
  std::unordered_set<std::string> folders; ///< every folder that holds something
  std::vector<CodeEdge> code;              ///< from `code` references, in order
  /// Absolute imports, by their first part: an index of a file that imports it.
  std::unordered_map<std::string, std::size_t> imported;
  Report report;

  /// k_none when there is no such file.
  std::size_t find(std::string_view path) const;
  FileVerdict verdict_of(std::size_t index) const;

  void add(const Rule& rule, std::string_view path, std::string_view evidence,
           std::optional<Severity> severity = std::nullopt);
  void add(Finding finding);
  void gap(Reason reason, Reach reach, std::string_view path, std::string_view detail);
  void gap(Gap gap);
};

// The parts, in the order in which they run.
void judge_entries(Judge& judge);    ///< links, submodules, pointers, names
void judge_references(Judge& judge); ///< files, code and repositories that files name
void judge_closure(Judge& judge);    ///< code that runs because other code does
void judge_repository(Judge& judge); ///< what the code of several files does together
void judge_shadows(Judge& judge);    ///< modules that stand in for a library
void judge_weights(Judge& judge);    ///< the same model in two formats
void judge_templates(Judge& judge);  ///< one model's chat template in several files
void judge_licences(Judge& judge);   ///< terms of use that weights and card state differently
void judge_sizes(Judge& judge);      ///< weights that are far smaller than what describes them

enum class RuleId {
  reference_outside,
  reference_missing,
  reference_link,
  companion_short,
  index_kind,
  code_missing,
  code_reached,
  code_hidden,
  remote_code,
  other_repository,
  shadow_module,
  unsafe_twin,
  poisoned_twin,
  fake_weights,
  case_duplicate,
  link_outside,
  submodule,
  lfs_pointer,
  template_differs,
  entry_point,
  named_skops,
  licence_differs,
  described,
};
const Rule& rule(RuleId id);

/// "name 4096" of an `extent` or `described` reference of the file at `path`, {stem} replaced.
struct NamedBytes {
  std::string name;
  std::uint64_t bytes = 0;
};
std::optional<NamedBytes> named_bytes(std::string_view path, std::string_view target);

std::string_view modules_version();

} // namespace hubgate::tree
