// Behaviours: what several findings of one unit mean together, and tricks of the source text.
#include "scanner/code/python/evaluator.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

struct Behaviour {
  R rule;
  std::optional<Severity> severity;
  std::array<std::initializer_list<Feature>, 3> groups; ///< of each, one must be there
  std::string_view what;
  std::string_view techniques;
};

constexpr std::size_t k_line_shown = 90;
constexpr std::size_t k_steps_shown = 6;

const std::array<Behaviour, 10>& behaviours_table() {
  static const std::array<Behaviour, 10> k_table{{
      {R::theft,
       {},
       {{{f_browser_store}, {f_unprotect, f_aes}, {f_browser_path, f_sqlite, f_net_out}}},
       "reads what a browser keeps secret",
       "CNT-004"},
      {R::theft,
       {},
       {{{f_browser_store}, {f_browser_path}, {f_net_out}}},
       "sends what a browser keeps secret",
       "CNT-004"},
      {R::theft, {}, {{{f_wallet}, {f_net_out}, {f_net_out}}}, "sends wallets away", "CNT-004"},
      {R::theft,
       {},
       {{{f_key_listener}, {f_net_out}, {f_net_out}}},
       "records keys and sends them",
       "CNT-004"},
      {R::miner, {}, {{{f_stratum}, {f_run, f_net_out, f_miner}, {f_stratum}}}, "mines", "CNT-008"},
      {R::miner, {}, {{{f_miner}, {f_run}, {f_net_in, f_stratum}}}, "mines", "CNT-008"},
      {R::shellcode,
       {},
       {{{f_virtual_alloc}, {f_move_memory}, {f_create_thread}}},
       "puts machine code into memory and starts it",
       "CFG-027"},
      // So do programs that ask the processor what it can do.
      {R::shellcode,
       Severity::suspicious,
       {{{f_virtual_alloc}, {f_call_pointer}, {f_call_pointer}}},
       "makes memory executable and calls it",
       "CFG-027"},
      {R::evasion,
       {},
       {{{f_sandbox_name, f_debugger}, {f_run}, {f_net_in, f_net_out}}},
       "looks for analysis tools",
       "CFG-027"},
      {R::destruction, {}, {{{f_ransom}, {f_aes}, {f_aes}}}, "leaves a ransom note", "CNT-004"},
  }};
  return k_table;
}

} // namespace

void Evaluator::note(Feature feature, std::uint32_t offset) {
  if (seen_[feature] == k_nowhere) seen_[feature] = offset;
}

void Evaluator::note_text(std::string_view text, std::uint32_t offset) {
  if (text.size() < 4) return;
  text = text.substr(0, 1 << 16);
  for (const Pattern& pattern: patterns())
    if (!pattern.name && seen_[pattern.feature] == k_nowhere &&
        text.find(pattern.text) != std::string_view::npos)
      note(pattern.feature, offset);
}

void Evaluator::note_name(std::string_view name, std::uint32_t offset) {
  for (const Pattern& pattern: patterns())
    if (pattern.name && seen_[pattern.feature] == k_nowhere &&
        name.find(pattern.text) != std::string_view::npos)
      note(pattern.feature, offset);
}

void Evaluator::behaviours() {
  for (const Behaviour& behaviour: behaviours_table()) {
    std::string lines;
    bool all = true;
    std::uint32_t first = k_nowhere;
    for (const auto& group: behaviour.groups) {
      const auto hit = std::find_if(group.begin(), group.end(), [&](Feature f) { return has(f); });
      if (hit == group.end()) {
        all = false;
        break;
      }
      const std::string line = line_at(seen_[*hit]);
      if (lines.find(line) == std::string::npos) lines += (lines.empty() ? "" : " ; ") + line;
      first = std::min(first, seen_[*hit]);
    }
    if (!all) continue;
    bool& known = reported_[{rule(behaviour.rule).id, first}];
    if (known) continue;
    known = true;
    const std::string title = unit_.title.empty() ? "" : std::string(unit_.title) + ": ";
    session_.find(rule(behaviour.rule), unit_.verbatim ? unit_.offset + first : unit_.offset, 0,
                  title + std::string(behaviour.what) + ": " + lines,
                  {.severity = behaviour.severity,
                   .condition = unit_.condition,
                   .techniques = behaviour.techniques});
  }
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
