#pragma once
// Behaviours: what several features of one unit of code mean together. The rules are data
// (rules/*.rules, README.md has the language), part of the program, compiled once. A unit is
// recovered code: Python after folding, commands, decoded layers; never the raw bytes of weights.
#include "scanner/core/format.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::behaviour {

class RuleSet;

/// The rules of this program. Built on first use (a few ms; a process that forks workers calls it
/// before), constant from then on.
const RuleSet& builtin_rules();

/// Their findings, for lists and for rules_digest(): ids "behaviour-…".
std::span<const Rule> behaviour_rules();

/// sha256 (hex) of the rules' texts: changes whenever a rule does.
const std::string& behaviour_version();

enum class UnitKind : std::uint8_t {
  source,  ///< Python that somebody imports or runs
  weights, ///< Python that came out of what should be data
  cell,    ///< a cell of a notebook
  shell,   ///< commands of a script, and such that other code hands to a shell
};

/// A rule that holds in a unit.
struct Hit {
  const Rule* rule = nullptr;
  /// The id of a rule of scanner/code/python that names this finding, "" = rule->id.
  std::string_view finding;
  /// Instead of the rule's where the code runs by itself, when a model is loaded.
  Severity when_loaded = Severity::malicious;
  /// Where the features are, the first of each, at most four, ascending.
  std::vector<std::uint32_t> offsets;
};

/// Collects the features of one unit and says which rules hold. Time is linear in the texts.
class Unit {
public:
  explicit Unit(UnitKind kind, const RuleSet& rules = builtin_rules());

  /// A literal, a folded string or a logical line of commands, at `offset` of the unit.
  void text(std::string_view text, std::uint32_t offset);
  /// A function that is called, by its full dotted name.
  void call(std::string_view name, std::uint32_t offset);
  /// Whether some rule looks at the constant arguments of this function.
  bool wants_arguments(std::string_view name) const;
  /// The constant arguments of a call, joined by blanks; only where wants_arguments().
  void arguments(std::string_view name, std::string_view constants, std::uint32_t offset);

  /// Whether any rule for this kind of unit looks at something in `text`: a cheap first look.
  static bool has_feature(std::string_view text, UnitKind kind,
                          const RuleSet& rules = builtin_rules());

  /// What holds, in the order of the rules; call it once, at the end.
  std::vector<Hit> hits();

private:
  void feature(std::uint32_t variable, std::uint32_t offset);
  bool holds(std::uint32_t rule, bool in_text) const;

  const RuleSet& rules_;
  UnitKind kind_;
  std::vector<std::uint32_t> first_;   ///< of each variable: offset + 1, 0 = not seen
  std::vector<std::uint32_t> in_text_; ///< of each variable: number of the text that has it last
  std::vector<std::uint32_t> tried_;   ///< of each regular expression: the text it was tried on
  std::vector<std::uint32_t> touched_; ///< rules with a feature in the text at hand
  std::uint32_t text_ = 0;
  std::vector<std::optional<std::uint32_t>> held_; ///< of each rule within a text: where
};

} // namespace hubgate::behaviour
