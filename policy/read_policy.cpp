// YAML to Policy::Model. Everything that can be wrong is noted, not only the first.
#include "policy/model.hpp"
#include "policy/store.hpp"
#include "policy/yara_rules.hpp"
#include "scanner/code/behaviour/behaviour.hpp"
#include "scanner/core/engine.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/glob.hpp"
#include "scanner/generic/generic.hpp"
#include "scanner/tree/tree.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace hubgate {
namespace {

constexpr std::size_t k_rules_max = 1000;
constexpr std::size_t k_pattern_max = 500;

constexpr std::array<std::string_view, 4> k_actions{"allow", "annotate", "block", "quarantine"};
constexpr std::array<std::string_view, 3> k_modes{"enforce", "audit", "off"};

// What the scanner of this build can say, to catch misspelt names.
struct Vocabulary {
  std::set<std::string_view> formats{"unknown"};
  std::set<std::string_view> rules;
  // Classes that formats give besides their rules' own (FindOptions::klass): what a call is, and
  // what code does.
  std::set<std::string_view> classes{
      "unknown-call",   "unknown-class", "remote-control", "theft",       "execution",
      "reconnaissance", "persistence",   "destruction",    "propagation", "proof-of-concept"};

  bool complete = true; ///< but for YARA rules that can't be read

  Vocabulary() {
    for (const Format* format: all_formats()) {
      formats.insert(format->name);
      add(format->rules);
    }
    add(engine_rules());
    add(generic_rules());
    add(behaviour::behaviour_rules());
    formats.insert(k_tree_format);
    add(tree_rules());
  }
  void add(std::span<const Rule> table) {
    for (const Rule& rule: table) {
      rules.insert(rule.id);
      classes.insert(rule.klass);
    }
  }
};

class RuleReader {
public:
  RuleReader(yaml::Mapping& match, const Vocabulary& words) : match_(match), words_(words) {}

  Match read() {
    Match out;
    named("direction", out.direction, direction_from, {"pull", "push"});
    named("road", out.road, road_from, {"hub", "lfs", "git", "xet", "hook", "scan"});
    patterns("hub", out.hub);
    patterns("repo", out.repo);
    patterns("organisation", out.organisation);
    patterns("revision", out.revision);
    patterns("branch", out.branch);
    patterns("ref", out.ref);
    patterns("path", out.path);
    patterns("format", out.format, &words_.formats);
    named("verdict", out.verdict, verdict_kind_from,
          {"clean", "inconclusive", "suspicious", "malicious"});
    named("severity", out.severity, severity_from, {"informational", "suspicious", "malicious"});
    patterns("class", out.klass, &words_.classes);
    patterns("rules", out.rules, &words_.rules);
    named("reason", out.reason, reason_from,
          {"truncated", "budget", "crash", "timeout", "out-of-memory", "encrypted", "unsupported",
           "malformed", "opaque", "unreadable"});
    named("reach", out.reach, reach_from, {"load", "data"});
    patterns("user", out.user);
    patterns("group", out.group);
    digests("sha256", out.sha256);
    if (auto size = match_.mapping("size")) {
      out.size_min = size->size("min");
      out.size_max = size->size("max");
      if (!size->has("min") && !size->has("max")) size->error("", "needs min or max");
      if (out.size_min && out.size_max && *out.size_min > *out.size_max)
        size->error("", "min is larger than max: no object matches");
      size->finish();
    }
    match_.finish();
    contradictions(out);
    return out;
  }

private:
  template <typename Value, typename From>
  void named(std::string_view key, std::vector<Value>& out, From from,
             std::initializer_list<std::string_view> names) {
    const auto items = match_.list(key);
    if (!items) return;
    for (const auto& item: *items) {
      if (const auto value = from(item.text)) {
        out.push_back(*value);
        continue;
      }
      std::string message = "'" + printable(item.text, 60) + "' is not one of ";
      bool first = true;
      for (const auto& name: names) {
        if (!first) message += ", ";
        message += name;
        first = false;
      }
      const auto near = yaml::nearest(item.text, std::span(names.begin(), names.size()));
      if (!near.empty()) message += "; did you mean '" + std::string(near) + "'?";
      match_.error(key, item, std::move(message));
    }
  }

  void patterns(std::string_view key, std::vector<std::string>& out,
                const std::set<std::string_view>* known = nullptr) {
    const auto items = match_.list(key);
    if (!items) return;
    for (const auto& item: *items) {
      if (item.text.empty() || item.text.size() > k_pattern_max) {
        match_.error(key, item, "a pattern has 1 to 500 characters");
        continue;
      }
      if (known != nullptr) check_known(key, item, *known);
      out.push_back(item.text);
    }
  }

  void digests(std::string_view key, std::vector<Sha256>& out) {
    const auto items = match_.list(key);
    if (!items) return;
    for (const auto& item: *items)
      if (const auto digest = sha256_from_hex(item.text))
        out.push_back(*digest);
      else
        match_.error(key, item, "a sha256 is 64 hexadecimal digits");
  }

  void check_known(std::string_view key, const yaml::Item& item,
                   const std::set<std::string_view>& known) {
    if (!words_.complete) return;
    // The Git hook's own rules are not linked here.
    if (key == "rules" && (item.text.starts_with("git-") || item.text.starts_with("lfs-"))) return;
    const bool found = std::any_of(known.begin(), known.end(), [&](std::string_view name) {
      return glob_matches(item.text, name, Case::sensitive);
    });
    if (found) return;
    // Rules of gaps are written like "gap:opaque" in waivers; in a policy that is `reason`.
    std::string message = "this hubgate knows no such " +
                          std::string(key == "rules" ? "rule" : key) + " as '" +
                          printable(item.text, 60) + "'";
    const std::vector<std::string_view> names(known.begin(), known.end());
    const auto near = yaml::nearest(item.text, names);
    if (!near.empty()) message += "; did you mean '" + std::string(near) + "'?";
    match_.warning(key, item, std::move(message));
  }

  // A rule that no finding, gap or object can match is a mistake of its author's.
  void contradictions(const Match& match) {
    if (match.asks_finding() && !match.reason.empty())
      match_.error("reason", "a finding has no reason: severity, class and rules look at findings, "
                             "reason at what could not be read");
    const auto only = [&](VerdictKind kind) {
      return !match.verdict.empty() && std::all_of(match.verdict.begin(), match.verdict.end(),
                                                   [&](VerdictKind each) { return each == kind; });
    };
    if (only(VerdictKind::inconclusive) && match.asks_finding())
      match_.error("verdict",
                   "inconclusive is about what could not be read, which has no severity, "
                   "class or rules: write two rules");
    const bool no_inconclusive =
        !match.verdict.empty() && std::find(match.verdict.begin(), match.verdict.end(),
                                            VerdictKind::inconclusive) == match.verdict.end();
    if (no_inconclusive && !match.reason.empty())
      match_.error("verdict", "a reason comes with verdict: inconclusive only");
    if (only(VerdictKind::clean) && !match.asks_finding() && !match.reach.empty())
      match_.error("reach", "a clean object has no reach");
  }

  yaml::Mapping& match_;
  const Vocabulary& words_;
};

bool valid_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

void read_groups(yaml::Mapping& groups, std::vector<Group>& out) {
  for (const std::string& name: groups.keys()) {
    Group group{printable(name, 100), {}};
    if (const auto users = groups.list(name)) {
      for (const auto& user: *users) {
        if (user.text.empty() || user.text.size() > k_pattern_max)
          groups.error(name, user, "a pattern has 1 to 500 characters");
        else
          group.users.push_back(user.text);
      }
    }
    // Without users it would be everybody's.
    if (!group.users.empty()) out.push_back(std::move(group));
  }
  groups.finish();
}

PolicyRule read_rule(yaml::Mapping& rule, const Vocabulary& words) {
  PolicyRule out;
  out.line = rule.line();
  if (auto id = rule.text("id")) {
    out.id = *id;
    if (!valid_id(out.id))
      rule.error("id", "an id is made of a-z, 0-9 and '-', at most 64 characters");
  } else if (!rule.has("id")) {
    rule.error("", "a rule needs an id");
  }
  // Without a match it is for every object.
  if (auto match = rule.mapping("match")) out.match = RuleReader(*match, words).read();
  if (const auto action = rule.choice("action", k_actions))
    out.action = static_cast<Action>(*action);
  else if (!rule.has("action"))
    rule.error("", "a rule needs an action: allow, annotate, block or quarantine");
  if (const auto mode = rule.choice("mode", k_modes)) out.mode = static_cast<Mode>(*mode);
  if (auto reason = rule.text("reason")) {
    out.reason = printable(*reason, 200);
    if (out.reason.empty()) rule.error("reason", "is empty");
  }
  if (const auto what = rule.text("override")) {
    out.overrides_malicious = true;
    if (*what != "malicious") rule.error("override", "can only be malicious");
    if (out.action >= Action::block) rule.error("override", "is for rules that allow or annotate");
  }
  rule.finish();
  // It would never let pass what it asks for.
  const bool asks_only_malicious =
      (!out.match.severity.empty() &&
       std::all_of(out.match.severity.begin(), out.match.severity.end(),
                   [](Severity each) { return each == Severity::malicious; })) ||
      (!out.match.verdict.empty() && !out.match.asks_finding() &&
       std::all_of(out.match.verdict.begin(), out.match.verdict.end(),
                   [](VerdictKind each) { return each == VerdictKind::malicious; }));
  if (asks_only_malicious && out.action < Action::block && !out.overrides_malicious)
    rule.error("action", "lets malicious objects pass: say so with override: malicious");
  return out;
}

} // namespace

bool Match::asks_nothing() const {
  return direction.empty() && road.empty() && hub.empty() && repo.empty() && organisation.empty() &&
         revision.empty() && branch.empty() && ref.empty() && path.empty() && format.empty() &&
         user.empty() && group.empty() && sha256.empty() && !size_min && !size_max &&
         !asks_content();
}

Policy::Model read_policy(yaml::Document& document, std::string_view name,
                          const std::filesystem::path& folder) {
  Policy::Model out;
  Vocabulary words;
  yaml::Mapping top = document.top();
  const bool broken = document.first_error().has_value();
  if (const auto version = top.number("version")) {
    if (*version != 1) top.error("version", "this hubgate reads version 1");
  } else if (!top.has("version") && !broken) {
    top.error("", "version is missing: write version: 1");
  }
  out.name = printable(top.text("name").value_or(std::string(name)), 100);
  top.text("description");
  out.yara = read_yara(top, folder);
  words.complete = out.yara || !top.has("yara");
  if (out.yara)
    for (const yara::RuleFacts& rule: out.yara->rules) {
      words.rules.insert(rule.id);
      words.classes.insert(rule.klass);
    }
  if (const auto mode = top.choice("mode", k_modes)) out.mode = static_cast<Mode>(*mode);
  if (auto groups = top.mapping("groups")) read_groups(*groups, out.groups);
  std::set<std::string> ids;
  bool catch_all = false;
  if (auto rules = top.mappings("rules")) {
    if (rules->empty() && !document.first_error())
      top.error("rules", "is empty: everything would be blocked");
    if (rules->size() > k_rules_max) {
      top.error("rules", "more than 1000 rules");
      return out;
    }
    for (auto& mapping: *rules) {
      PolicyRule rule = read_rule(mapping, words);
      if (!rule.id.empty() && !ids.insert(rule.id).second)
        mapping.error("id", "'" + printable(rule.id, 64) + "' is the id of an earlier rule too");
      if (catch_all) mapping.warning("", "can't be reached: an earlier rule matches every object");
      const bool decides = rule.mode.value_or(out.mode) == Mode::enforce &&
                           (rule.action >= Action::block || rule.overrides_malicious);
      catch_all = catch_all || (decides && rule.match.asks_nothing());
      out.rules.push_back(std::move(rule));
    }
  } else if (!top.has("rules") && !broken) {
    top.error("", "rules are missing");
  }
  top.finish();
  return out;
}

} // namespace hubgate
