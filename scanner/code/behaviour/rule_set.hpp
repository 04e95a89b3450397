#pragma once
// RuleSet: rules of the language in README.md, read and compiled: one automaton (Aho-Corasick) for
// all literals, names by hash, regular expressions (RE2, linear) behind a literal each, conditions
// as trees. Internal to scanner/code/behaviour.
#include "scanner/code/behaviour/behaviour.hpp"

#include <array>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

namespace re2 {
class RE2;
}

namespace hubgate::behaviour {

struct RuleFile {
  std::string_view name;
  std::string_view text;
};

/// rules/*.rules, in the order of their names.
std::span<const RuleFile> builtin_files();

/// A text that a rule must or must not hold for.
struct Sample {
  std::string rule; ///< without "behaviour-"
  UnitKind kind;
  bool match;
  std::string text;
  std::size_t line; ///< in its file
};

class Automaton {
public:
  Automaton();
  ~Automaton();
  Automaton(Automaton&&) noexcept;
  /// Adds a literal (its letters' case does not count) and returns its number.
  std::uint32_t add(std::string_view literal);
  void build();
  /// Calls `found(literal number, begin, end)` for every occurrence.
  template <typename Found> void run(std::string_view text, Found found) const {
    std::uint32_t state = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      state = next_[state * classes_ + class_of_[static_cast<unsigned char>(text[i])]];
      for (std::uint32_t at = output_[state]; at != 0; at = output_[suffix_[at]])
        found(literal_[at], i + 1 - length_[at], i + 1);
    }
  }

private:
  std::vector<std::string> literals_;
  std::unordered_map<std::string, std::uint32_t> known_;
  std::array<std::uint8_t, 256> class_of_{};
  std::uint32_t classes_ = 1;
  std::vector<std::uint32_t> next_;    ///< state * classes_ + class -> state
  std::vector<std::uint32_t> output_;  ///< the nearest state with a literal, itself included
  std::vector<std::uint32_t> suffix_;  ///< the longest proper suffix that is a state
  std::vector<std::uint32_t> literal_; ///< that ends in this state
  std::vector<std::uint32_t> length_;
};

struct Condition {
  enum class Kind : std::uint8_t { variable, all, any, none, at_least };
  Kind kind = Kind::variable;
  std::uint32_t number = 0; ///< of the variable, or how many of the parts
  std::vector<Condition> parts;
};

struct CompiledRule {
  Rule rule;
  std::string finding;
  std::uint8_t kinds = 0; ///< bit of each UnitKind
  std::optional<Severity> loaded;
  bool within_text = false;
  std::uint32_t first_variable = 0;
  std::uint32_t variables = 0;
  Condition when;
  std::size_t line = 0;
};

class RuleSet {
public:
  /// Reads rules; what is wrong goes to problems(), and such a rule is left out.
  explicit RuleSet(std::span<const RuleFile> files);
  ~RuleSet();
  RuleSet(const RuleSet&) = delete;
  RuleSet& operator=(const RuleSet&) = delete;

  const std::vector<std::string>& problems() const { return problems_; }
  const std::vector<Sample>& samples() const { return samples_; }
  const std::deque<CompiledRule>& rules() const { return rules_; }
  std::span<const Rule> findings() const { return findings_; }
  const std::string& version() const { return version_; }

private:
  friend class Unit;
  friend class RuleParser;
  struct Use { ///< of a literal
    std::uint32_t variable;
    bool word_begin; ///< no letter or digit before it
    bool word_end;
    std::uint32_t regex; ///< number + 1 of one that must match the text, too; 0 = none

    /// Whether [begin, end) of the text ends where the literal has to.
    bool stands_at(std::string_view text, std::size_t begin, std::size_t end) const;
  };
  struct NameUse {
    std::uint32_t variable;
    std::string needle; ///< in the constant arguments, lower case; "" = any
  };

  std::deque<CompiledRule> rules_;
  std::deque<std::string> strings_; ///< that the rules' views point into
  std::vector<Rule> findings_;
  std::vector<std::uint32_t> rule_of_; ///< of each variable
  Automaton automaton_;
  std::vector<std::vector<Use>> uses_; ///< of each literal
  std::vector<std::unique_ptr<re2::RE2>> regexes_;
  std::unordered_map<std::string, std::vector<NameUse>> names_;
  std::vector<std::pair<std::string, NameUse>> name_parts_; ///< "*part*" and "part*"
  std::vector<Sample> samples_;
  std::vector<std::string> problems_;
  std::string version_;
};

} // namespace hubgate::behaviour
