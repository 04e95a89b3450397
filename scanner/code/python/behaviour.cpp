// Behaviours: what several findings of one unit mean together, and tricks of the source text.
#include "scanner/code/python/evaluator.hpp"
#include "scanner/code/shell/shell.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::size_t k_line_shown = 90;
constexpr std::size_t k_steps_shown = 6;
constexpr std::size_t k_arguments_shown = 4096; ///< bytes that rules see of a call's arguments

std::string_view fact_of(Feature feature) {
  switch (feature) {
  case f_net_out:
    return "@net-out";
  case f_net_in:
    return "@net-in";
  case f_run:
    return "@run";
  case f_virtual_alloc:
    return "@executable-memory";
  default:
    return {};
  }
}

// The rule of this folder that names a behaviour's finding, if one does.
const Rule& finding_rule(const behaviour::Hit& hit) {
  for (const Rule& known: python_rules())
    if (known.id == hit.finding) return known;
  return *hit.rule;
}

} // namespace

behaviour::UnitKind behaviour_kind(UnitKind kind) {
  switch (kind) {
  case UnitKind::weights:
    return behaviour::UnitKind::weights;
  case UnitKind::cell:
    return behaviour::UnitKind::cell;
  case UnitKind::source:
    break;
  }
  return behaviour::UnitKind::source;
}

void Evaluator::note(Feature feature, std::uint32_t offset) {
  if (seen_[feature] != k_nowhere) return;
  seen_[feature] = offset;
  if (const std::string_view fact = fact_of(feature); !fact.empty()) behaviour_.call(fact, offset);
}

void Evaluator::note_text(std::string_view text, std::uint32_t offset) {
  if (text.size() < 2) return;
  text = text.substr(0, 1 << 16);
  // Behaviours are those of a file: of several together nobody asks.
  if (modules_ == nullptr) behaviour_.text(text, offset);
  for (const Pattern& pattern: patterns())
    if (seen_[pattern.feature] == k_nowhere && text.find(pattern.text) != std::string_view::npos)
      note(pattern.feature, offset);
}

void Evaluator::note_call(std::string_view name, const Arguments& arguments, std::uint32_t offset) {
  if (modules_ != nullptr) return;
  behaviour_.call(name, offset);
  if (!behaviour_.wants_arguments(name)) return;
  std::string constants;
  const auto add = [&](const Value& value) {
    if (!value.is_text() || constants.size() > k_arguments_shown) return;
    constants += raw(value);
    constants += ' ';
  };
  for (const Value& value: arguments.positional) {
    add(value);
    if (value.kind == Kind::list)
      for (const Value& item: lists_[value.ref])
        add(item);
  }
  for (const auto& [key, value]: arguments.named)
    add(value);
  behaviour_.arguments(name, constants, offset);
}

void Evaluator::report_behaviour(const behaviour::Hit& hit, std::uint32_t offset,
                                 std::string_view lines) {
  const Rule& named = finding_rule(hit);
  bool& known = reported_[{named.id, offset}];
  if (known) return;
  known = true;
  const bool loaded = unit_.kind == UnitKind::weights;
  const std::string title = unit_.title.empty() ? "" : std::string(unit_.title) + ": ";
  session_.find(named, unit_.verbatim ? unit_.offset + offset : unit_.offset, 0,
                title + std::string(hit.rule->meaning) + ": " + std::string(lines),
                {.severity = loaded ? hit.when_loaded : hit.rule->severity,
                 .condition = unit_.condition,
                 .techniques = hit.rule->techniques});
}

void Evaluator::behaviours() {
  for (const behaviour::Hit& hit: behaviour_.hits()) {
    std::string lines;
    for (const std::uint32_t offset: hit.offsets) {
      const std::string line = line_at(offset);
      if (lines.find(line) == std::string::npos) lines += (lines.empty() ? "" : " ; ") + line;
    }
    report_behaviour(hit, hit.offsets.front(), lines);
  }
}

// What a text would do in a shell, by the rules for commands.
void Evaluator::shell_behaviours(std::string_view text, NodeId at) {
  if (modules_ != nullptr) return;
  behaviour::Unit unit(behaviour::UnitKind::shell);
  shell::logical_lines(text, [&](std::string_view line, std::size_t offset) {
    unit.text(line, static_cast<std::uint32_t>(std::min<std::size_t>(offset, k_nowhere - 1)));
  });
  for (const behaviour::Hit& hit: unit.hits())
    report_behaviour(hit, tree_[at].begin, line_at(tree_[at].begin));
}

// Code that a person who reads the file will not see.
void Evaluator::source_tricks() {
  const std::string_view text = tree_.text;
  for (NodeId id = 1; id < tree_.nodes.size(); ++id) {
    const NodeKind kind = tree_[id].kind;
    if (kind != NodeKind::expression && kind != NodeKind::import && kind != NodeKind::exec)
      continue;
    const std::uint32_t at = tree_[id].begin;
    // "x = 1;      (a screen of blanks)      exec(…)"
    std::uint32_t blank = at;
    while (blank > 0 && (text[blank - 1] == ' ' || text[blank - 1] == '\t'))
      --blank;
    if (at - blank >= 100 && blank > 0 && text[blank - 1] == ';')
      report(R::hidden_source, id, nullptr, "code behind a screen of blanks");
  }
}

std::uint32_t Evaluator::line_number(std::uint32_t offset) const {
  const auto at = std::upper_bound(lines_.begin(), lines_.end(), offset);
  return static_cast<std::uint32_t>(at - lines_.begin());
}

std::string Evaluator::line_at(std::uint32_t offset) const {
  const std::uint32_t number = line_number(offset);
  std::size_t begin = number == 0 ? 0 : lines_[number - 1];
  std::size_t end = tree_.text.find_first_of("\r\n", begin);
  if (end == std::string_view::npos) end = tree_.text.size();
  if (modules_ != nullptr) {
    const Module& module = modules_->all()[modules_->at(offset)];
    begin = std::max<std::size_t>(begin, module.begin);
    end = std::min<std::size_t>(end, module.end);
  }
  // Of a long line, the part around the place.
  if (end - begin > k_line_shown && offset > begin + 20) begin = offset - 20;
  std::string_view line = tree_.text.substr(begin, std::min(end - begin, k_line_shown));
  const std::size_t first = line.find_first_not_of(" \t");
  if (first != std::string_view::npos) line.remove_prefix(first);
  return place(offset) + ": " + std::string(line);
}

std::string Evaluator::trace(std::uint32_t from, std::uint32_t sink) const {
  std::vector<std::string> shown;
  std::uint32_t last = line_number(sink);
  shown.push_back(line_at(sink));
  for (std::uint32_t at = from; at != 0; at = steps_[at].parent) {
    const std::uint32_t number = line_number(steps_[at].offset);
    if (number == last) continue;
    last = number;
    if (shown.size() < k_steps_shown || steps_[at].parent == 0)
      shown.push_back(line_at(steps_[at].offset));
  }
  std::string out;
  for (std::size_t i = shown.size(); i-- > 0;)
    out += shown[i] + (i > 0 ? " -> " : "");
  return out;
}

} // namespace hubgate::python
