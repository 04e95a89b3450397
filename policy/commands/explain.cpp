// `hubgate explain`: what a rule of the scanner means, everything about a recorded decision, or how
// what was found in a file was recovered.
#include "policy/commands/explain_output.hpp"
#include "policy/commands/shared.hpp"
#include "policy/yara_rules.hpp"
#include "scanner/code/behaviour/behaviour.hpp"
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
  for (const Rule& rule: behaviour::behaviour_rules())
    out.push_back({"recovered code", &rule});
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

int explain_yara_rule(const std::string& id, const std::string& policy_name) {
  if (policy_name.empty())
    return complain("'" + printable(id, 80) + "' is a rule of a policy: name it with --policy",
                    exit_usage);
  const auto policy = Policy::named(policy_name);
  if (!policy) return complain(policy.error().message, exit_usage);
  std::vector<std::string_view> names;
  const auto rules = policy->yara();
  for (std::size_t i = 0; rules && i < rules->rules.size(); ++i) {
    const yara::RuleFacts& rule = rules->rules[i];
    names.push_back(rule.id);
    if (rule.id != id) continue;
    std::cout << printable(rule.id) << "\n";
    if (!rule.description.empty()) std::cout << "  " << printable(rule.description) << "\n";
    std::cout << "  YARA rule at " << printable(rule.file, 300) << ":" << rule.line << ", class "
              << rule.klass << ", " << to_string(rule.severity) << "\n";
    for (const auto& [name, value]:
         {std::pair{"CWE", rule.cwe}, std::pair{"MITRE ATLAS", rule.atlas}})
      if (!value.empty()) std::cout << "  " << name << ": " << value << "\n";
    return exit_ok;
  }
  std::string message =
      "policy " + policy->name() + " has no YARA rule '" + printable(id, 80) + "'";
  if (const auto near = yaml::nearest(id, names); !near.empty())
    message += ": did you mean '" + std::string(near) + "'?";
  return complain(message, exit_found);
}

struct Explain {
  ExplainPath how;
  bool list = false;
  std::filesystem::path data;
};

int explain(const Explain& flags) {
  if (flags.list) return list();
  const std::string& what = flags.how.path;
  if (what.empty())
    return complain("name a file, a rule or the reference (HG-...) of a decision, or say --list",
                    exit_usage);
  std::error_code failure;
  if (std::filesystem::exists(what, failure)) return explain_path(flags.how);
  if (what.starts_with("HG-") || what.starts_with("hg-"))
    return show_decision(flags.data, what, "text");
  if (what.starts_with("yara:")) return explain_yara_rule(what, flags.how.policy);
  if (what.find_first_of("/.") != std::string::npos)
    return complain("there is no file '" + printable(what, 200) + "'", exit_error);
  return explain_rule(what);
}

void set_up(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Explain>();
  app.add_option("WHAT", flags->how.path,
                 "a file or directory: how what is found in it was recovered, from the bytes over "
                 "their disassembly to code; or a rule's id; or the reference (HG-...) of a "
                 "decision");
  app.add_option("--stage", flags->how.stage, "of a file: bytes, disassembly or code only")
      ->check(CLI::IsMember({"bytes", "disassembly", "code"}));
  app.add_flag("--all", flags->how.all,
               "of a file: all of it, not only what lies near to something found");
  app.add_option("--lines", flags->how.lines,
                 "of a file: lines of each stage; 0 for as many as there can be")
      ->capture_default_str();
  app.add_option("--format", flags->how.format, "of a file: text, or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--policy", flags->how.policy,
                 "of a file or a YARA rule: the policy whose YARA rules it is about");
  app.add_flag("--list", flags->list, "all rules with their meaning");
  add_data_flag(app, flags->data);
  app.callback([flags, &exit_code] { exit_code = explain(*flags); });
}

} // namespace

std::string_view meaning_of_rule(std::string_view id) {
  static const std::vector<Known> rules = known_rules();
  const auto known =
      std::lower_bound(rules.begin(), rules.end(), id,
                       [](const Known& a, std::string_view b) { return a.rule->id < b; });
  return known != rules.end() && known->rule->id == id ? known->rule->meaning : std::string_view();
}

extern const Verb verb_explain;
const Verb verb_explain{"explain",
                        "what was found in a file and how, what a rule means, or why something was "
                        "decided",
                        set_up};

} // namespace hubgate
