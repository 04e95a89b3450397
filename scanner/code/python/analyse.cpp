#include "scanner/code/python/analyse.hpp"

#include "scanner/code/python/evaluator.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

/// Bytes that folding may make out of one object: some times its text, and room to unpack.
constexpr std::uint64_t k_fold_base = std::uint64_t{24} << 20;
constexpr std::uint64_t k_fold_most = std::uint64_t{192} << 20;

// The lines of a file; recovered code as one piece, under the offset of what it came from.
void show_source(std::string_view text, const Unit& unit, Session& session) {
  if (!unit.verbatim) {
    if (!unit.title.empty()) session.show("source", unit.offset, "# " + std::string(unit.title));
    session.show("source", unit.offset, text);
    return;
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    session.show("source", unit.offset + at, end == at ? " " : text.substr(at, end - at));
    at = end + 1;
  }
}

} // namespace

Evaluator::Evaluator(Tree tree, const Unit& unit, Session& session, std::uint64_t& fold_budget)
    : tree_(std::move(tree)), unit_(unit), session_(session), fold_budget_(fold_budget),
      behaviour_(behaviour_kind(unit.kind)) {
  seen_.fill(k_nowhere);
  lines_.push_back(0);
  const std::string_view text = tree_.text;
  for (std::uint32_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n' || (text[i] == '\r' && (i + 1 >= text.size() || text[i + 1] != '\n')))
      lines_.push_back(i + 1);
  max_ticks_ = std::uint64_t{2'000'000} + std::uint64_t{24} * tree_.nodes.size();
}

Evaluator::Evaluator(Tree tree, const Unit& unit, Session& session, std::uint64_t& fold_budget,
                     Modules& modules)
    : Evaluator(std::move(tree), unit, session, fold_budget) {
  modules_ = &modules;
  scopes_.resize(1 + modules.all().size());
  features_.assign(modules.all().size(), seen_);
}

bool Evaluator::run() {
  block(tree_.root);
  uncalled_functions();
  if (!over_budget_) {
    judge_commands();
    behaviours();
    source_tricks();
  }
  return !over_budget_ && !skipped_ && !tree_.too_deep && !tree_.too_large;
}

Summary analyse_python(std::string_view text, const Unit& unit, Session& session) {
  Summary summary;
  Tree tree = parse_python(text);
  summary.errors = tree.errors;
  summary.calls = tree.calls;
  // One error is enough for CPython to run nothing; some are allowed for grammars to come.
  const bool limited = tree.too_deep || tree.too_large;
  summary.python =
      !tree.gave_up && (limited || (tree.calls > 0 && tree.errors * 4 <= tree.statements));
  if (!summary.python && unit.kind != UnitKind::weights) return summary;
  // Cells are shown as they stand in their notebook.
  if (session.showing() && unit.kind != UnitKind::cell) show_source(text, unit, session);
  const bool small = text.size() <= k_max_text;
  std::uint64_t fold_budget =
      std::min<std::uint64_t>(k_fold_most, k_fold_base + 8 * std::uint64_t{text.size()});
  Evaluator evaluator(std::move(tree), unit, session, fold_budget);
  summary.complete = evaluator.run() && small && fold_budget > 0;
  if (!summary.complete)
    session.gap(Reason::budget, Reach::load, unit.offset,
                small ? "the code is nested too deep or does too much to be followed"
                      : "more code than is analysed",
                unit.condition);
  return summary;
}

} // namespace hubgate::python
