// The program: a table of verbs. Each verb's flags and work live with its part.
#include "policy/commands/verb.hpp"
#include "policy/yaml.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/report.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

// A new verb is a declaration and a line in the table.
extern const Verb verb_scan;
extern const Verb verb_serve;
extern const Verb verb_ca;
extern const Verb verb_policy;
extern const Verb verb_waiver;
extern const Verb verb_quarantine;
extern const Verb verb_audit;
extern const Verb verb_explain;
extern const Verb verb_hook;
extern const Verb verb_cache;
extern const Verb verb_warm;

namespace {

/// In the order of `hubgate --help`.
const std::vector<const Verb*>& verbs() {
  // clang-format off: a verb a line
  static const std::vector<const Verb*> k_verbs{
      &verb_scan,
      &verb_serve,
      &verb_ca,
      &verb_hook,
      &verb_cache,
      &verb_warm,
      &verb_policy,
      &verb_waiver,
      &verb_quarantine,
      &verb_audit,
      &verb_explain,
  };
  // clang-format on
  return k_verbs;
}

// One line: CLI11 puts some messages on several.
std::string one_line(std::string text) {
  for (char& c: text)
    if (c == '\n') c = ' ';
  while (!text.empty() && text.back() == ' ')
    text.pop_back();
  return text;
}

// The deepest verb that was named, for "see hubgate policy check --help".
const CLI::App* named(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty())
    at = at->get_subcommands().front();
  return at;
}

std::string full_name(const CLI::App* app) {
  std::string name = app->get_name();
  for (app = app->get_parent(); app != nullptr; app = app->get_parent())
    name = app->get_name() + " " + name;
  return name;
}

// For a word where one of `app`'s verbs should stand: the complaint, or nothing if it is one.
std::optional<std::string> unknown_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string_view> names;
  for (const CLI::App* verb: app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  if (names.empty() || word.starts_with("-") ||
      std::find(names.begin(), names.end(), word) != names.end())
    return std::nullopt;
  std::string message = "unknown verb '" + printable(word, 60) + "'";
  const std::string_view near = yaml::nearest(word, names);
  if (!near.empty()) message += ": did you mean '" + std::string(near) + "'?";
  return message + " (see " + full_name(&app) + " --help)";
}

int run(int argc, char** argv) {
  CLI::App app{"A gate for AI model hubs: scans every model and dataset on its way, and lets your "
               "policy decide.",
               "hubgate"};
  app.set_version_flag("--version", "hubgate " + std::string(engine_version()));
  app.require_subcommand(1);
  app.get_formatter()->column_width(30);
  app.footer("Exit codes: 0 fine, 1 something found, 2 bad flags or configuration, "
             "3 something missing or failed.");
  int code = exit_ok;
  for (const Verb* verb: verbs())
    verb->setup(*app.add_subcommand(std::string(verb->name), std::string(verb->summary)), code);

  if (argc < 2) return complain("a verb is missing (see hubgate --help)", exit_usage);
  const CLI::App* at = &app;
  for (int i = 1; i < argc && i <= 2; ++i) {
    if (const auto complaint = unknown_verb(*at, argv[i])) return complain(*complaint, exit_usage);
    if (argv[i][0] == '-' || at->get_subcommands([](const CLI::App*) { return true; }).empty())
      break;
    at = at->get_subcommand(argv[i]);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return complain(one_line(error.what()) + " (see " + full_name(named(app)) + " --help)",
                    exit_usage);
  }
  return code;
}

} // namespace
} // namespace hubgate

int main(int argc, char** argv) {
  try {
    return hubgate::run(argc, argv);
  } catch (const std::exception& error) {
    // Only what no part expects, memory running out for instance.
    return hubgate::complain(error.what(), hubgate::exit_error);
  }
}
