// `hubgate explain`: what a rule of the scanner means, or everything about a recorded decision.
#include "policy/commands/shared.hpp"
#include "scanner/core/engine.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/format.hpp"
#include "scanner/generic/generic.hpp"
#include "scanner/tree/tree.hpp"

#include <algorithm>
#include <iostream>

namespace hubgate {
namespace {

struct Known {
  std::string_view family; ///< format, or which part of the scanner
  const Rule* rule;
};

std::vector<Known> known_rules() {
  std::vector<Known> out;
  for (const Format* format: all_formats())
    for (const Rule& rule: format->rules)
      out.push_back({format->name, &rule});
  for (const Rule& rule: engine_rules())
    out.push_back({"every format", &rule});
  for (const Rule& rule: generic_rules())
    out.push_back({"no format", &rule});
  for (const Rule& rule: tree_rules())
    out.push_back({"the files of a repository together", &rule});
  std::stable_sort(out.begin(), out.end(),
                   [](const Known& a, const Known& b) { return a.rule->id < b.rule->id; });
  return out;
}

int list() {
  std::vector<std::vector<std::string>> rows{{"RULE", "CLASS", "SEVERITY", "MEANING"}};
  std::string_view last;
  for (const Known& known: known_rules()) {
    if (known.rule->id == last) continue; // formats of one family share tables
    last = known.rule->id;
    rows.push_back({std::string(known.rule->id), std::string(known.rule->klass),
                    std::string(to_string(known.rule->severity)),
                    std::string(known.rule->meaning)});
  }
  std::cout << table(rows);
  return exit_ok;
}

int explain_rule(const std::string& id) {
  std::vector<std::string_view> names;
  for (const Known& known: known_rules()) {
    const Rule& rule = *known.rule;
    names.push_back(rule.id);
    if (rule.id != id) continue;
    std::cout << rule.id << "\n  " << rule.meaning << "\n  format " << known.family << ", class "
              << rule.klass << ", " << to_string(rule.severity)
              << (rule.reach == Reach::load ? ", runs when the file is loaded\n"
                                            : ", lies in the data\n");
    for (const auto& [name, value]:
         {std::pair{"CWE", rule.cwe}, std::pair{"MITRE ATLAS", rule.atlas},
          std::pair{"techniques", rule.techniques}})
      if (!value.empty()) std::cout << "  " << name << ": " << value << "\n";
    return exit_ok;
  }
  std::string message = "no rule or reference is called '" + printable(id, 80) + "'";
  if (const auto near = yaml::nearest(id, names); !near.empty())
    message += ": did you mean '" + std::string(near) + "'?";
  return complain(message + " (hubgate explain --list shows all rules)", exit_found);
}

struct Explain {
  std::string what;
  bool list = false;
  std::filesystem::path data;
};

int explain(const Explain& flags) {
  if (flags.list) return list();
  if (flags.what.empty())
    return complain("name a rule or the reference (HG-...) of a decision, or say --list",
                    exit_usage);
  if (flags.what.starts_with("HG-") || flags.what.starts_with("hg-"))
    return show_decision(flags.data, flags.what, "text");
  return explain_rule(flags.what);
}

void set_up(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Explain>();
  app.add_option("WHAT", flags->what, "a rule's id, or the reference (HG-...) of a decision");
  app.add_flag("--list", flags->list, "all rules with their meaning");
  add_data_flag(app, flags->data);
  app.callback([flags, &exit_code] { exit_code = explain(*flags); });
}

} // namespace

extern const Verb verb_explain;
const Verb verb_explain{"explain", "what a rule means, or why something was decided", set_up};

} // namespace hubgate
