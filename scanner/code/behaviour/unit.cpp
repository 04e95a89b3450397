#include "scanner/code/behaviour/rule_set.hpp"

#include <re2/re2.h>

#include <algorithm>

namespace hubgate::behaviour {
namespace {

constexpr std::size_t k_max_text = std::size_t{64} << 10; ///< of one text that is looked at
constexpr std::size_t k_offsets_shown = 4;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool evaluate(const Condition& condition, const auto& seen) {
  const auto count = [&] {
    return std::count_if(condition.parts.begin(), condition.parts.end(),
                         [&](const Condition& part) { return evaluate(part, seen); });
  };
  switch (condition.kind) {
  case Condition::Kind::variable:
    return seen(condition.number);
  case Condition::Kind::all:
    return std::all_of(condition.parts.begin(), condition.parts.end(),
                       [&](const Condition& part) { return evaluate(part, seen); });
  case Condition::Kind::any:
    return std::any_of(condition.parts.begin(), condition.parts.end(),
                       [&](const Condition& part) { return evaluate(part, seen); });
  case Condition::Kind::none:
    return count() == 0;
  case Condition::Kind::at_least:
    return count() >= condition.number;
  }
  return false;
}

} // namespace

bool RuleSet::Use::stands_at(std::string_view text, std::size_t begin, std::size_t end) const {
  return !(word_begin && begin > 0 && is_word(text[begin - 1])) &&
         !(word_end && end < text.size() && is_word(text[end]));
}

Unit::Unit(UnitKind kind, const RuleSet& rules)
    : rules_(rules), kind_(kind), first_(rules.rule_of_.size()), in_text_(rules.rule_of_.size()),
      tried_(rules.regexes_.size()), held_(rules.rules_.size()) {}

void Unit::feature(std::uint32_t variable, std::uint32_t offset) {
  const std::uint32_t rule = rules_.rule_of_[variable];
  if (((rules_.rules_[rule].kinds >> static_cast<unsigned>(kind_)) & 1) == 0) return;
  if (first_[variable] == 0) first_[variable] = offset + 1;
  in_text_[variable] = text_;
  if (rules_.rules_[rule].within_text && !held_[rule]) touched_.push_back(rule);
}

bool Unit::holds(std::uint32_t rule, bool in_text) const {
  return evaluate(rules_.rules_[rule].when, [&](std::uint32_t variable) {
    return in_text ? in_text_[variable] == text_ : first_[variable] != 0;
  });
}

void Unit::text(std::string_view text, std::uint32_t offset) {
  text = text.substr(0, k_max_text);
  ++text_;
  touched_.clear();
  rules_.automaton_.run(text, [&](std::uint32_t literal, std::size_t begin, std::size_t end) {
    for (const RuleSet::Use& use: rules_.uses_[literal]) {
      if (in_text_[use.variable] == text_) continue;
      if (!use.stands_at(text, begin, end)) continue;
      if (use.regex != 0) {
        // Once a text, however often its literal stands there.
        if (tried_[use.regex - 1] == text_) continue;
        tried_[use.regex - 1] = text_;
        if (!re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()),
                                    *rules_.regexes_[use.regex - 1]))
          continue;
      }
      feature(use.variable, offset);
    }
  });
  for (const std::uint32_t rule: touched_)
    if (!held_[rule] && holds(rule, true)) held_[rule] = offset;
}

void Unit::call(std::string_view name, std::uint32_t offset) {
  if (const auto at = rules_.names_.find(std::string(name)); at != rules_.names_.end())
    for (const RuleSet::NameUse& use: at->second)
      if (use.needle.empty()) feature(use.variable, offset);
  for (const auto& [part, use]: rules_.name_parts_)
    if (use.needle.empty() && name.find(part) != std::string_view::npos)
      feature(use.variable, offset);
}

bool Unit::wants_arguments(std::string_view name) const {
  const auto at = rules_.names_.find(std::string(name));
  return at != rules_.names_.end() &&
         std::any_of(at->second.begin(), at->second.end(),
                     [](const RuleSet::NameUse& use) { return !use.needle.empty(); });
}

void Unit::arguments(std::string_view name, std::string_view constants, std::uint32_t offset) {
  const auto at = rules_.names_.find(std::string(name));
  if (at == rules_.names_.end()) return;
  std::string low(constants.substr(0, k_max_text));
  for (char& c: low)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  for (const RuleSet::NameUse& use: at->second)
    if (!use.needle.empty() && low.find(use.needle) != std::string::npos)
      feature(use.variable, offset);
}

bool Unit::has_feature(std::string_view text, UnitKind kind, const RuleSet& rules) {
  bool found = false;
  rules.automaton_.run(text, [&](std::uint32_t literal, std::size_t begin, std::size_t end) {
    if (found) return;
    for (const RuleSet::Use& use: rules.uses_[literal])
      found = found ||
              (((rules.rules_[rules.rule_of_[use.variable]].kinds >> static_cast<unsigned>(kind)) &
                1) != 0 &&
               use.stands_at(text, begin, end));
  });
  return found;
}

std::vector<Hit> Unit::hits() {
  std::vector<Hit> out;
  for (std::uint32_t number = 0; number < rules_.rules_.size(); ++number) {
    const CompiledRule& rule = rules_.rules_[number];
    if (((rule.kinds >> static_cast<unsigned>(kind_)) & 1) == 0) continue;
    Hit hit{&rule.rule, rule.finding, rule.loaded.value_or(rule.rule.severity), {}};
    if (rule.within_text) {
      if (!held_[number]) continue;
      hit.offsets.push_back(*held_[number]);
    } else {
      bool touched = false;
      for (std::uint32_t i = 0; i < rule.variables; ++i) {
        const std::uint32_t first = first_[rule.first_variable + i];
        touched = touched || first != 0;
        if (first != 0 && hit.offsets.size() < k_offsets_shown) hit.offsets.push_back(first - 1);
      }
      if (!touched || !holds(number, false)) continue;
      std::sort(hit.offsets.begin(), hit.offsets.end());
      hit.offsets.erase(std::unique(hit.offsets.begin(), hit.offsets.end()), hit.offsets.end());
    }
    out.push_back(std::move(hit));
  }
  return out;
}

} // namespace hubgate::behaviour
