#include "policy/policy.hpp"

#include "policy/glob.hpp"
#include "policy/model.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace hubgate {
namespace {

constexpr std::array<std::pair<Direction, std::string_view>, 2> k_directions{
    {{Direction::pull, "pull"}, {Direction::push, "push"}}};
constexpr std::array<std::pair<Road, std::string_view>, 6> k_roads{{{Road::hub, "hub"},
                                                                    {Road::lfs, "lfs"},
                                                                    {Road::git, "git"},
                                                                    {Road::xet, "xet"},
                                                                    {Road::hook, "hook"},
                                                                    {Road::scan, "scan"}}};
constexpr std::array<std::pair<Action, std::string_view>, 4> k_actions{
    {{Action::allow, "allow"},
     {Action::annotate, "annotate"},
     {Action::block, "block"},
     {Action::quarantine, "quarantine"}}};
constexpr std::array<std::pair<Mode, std::string_view>, 3> k_modes{
    {{Mode::enforce, "enforce"}, {Mode::audit, "audit"}, {Mode::off, "off"}}};

template <typename Table, typename Value>
std::string_view name_of(const Table& table, Value value) {
  for (const auto& [key, name]: table)
    if (key == value) return name;
  return "?";
}

template <typename Value, typename Table>
std::optional<Value> value_of(const Table& table, std::string_view text) {
  for (const auto& [key, name]: table)
    if (name == text) return key;
  return std::nullopt;
}

// A policy file larger than this is none.
constexpr std::uintmax_t k_file_max = std::uintmax_t{1} << 20;

// One thing to be decided: a finding, a gap, or (both null) the object that has neither.
struct Item {
  const Finding* finding = nullptr;
  const Gap* gap = nullptr;
  VerdictKind verdict = VerdictKind::clean; // the object's by its findings; inconclusive for a gap
};

struct Outcome {
  Action action = Action::block;
  const PolicyRule* rule = nullptr; // null: no rule matched
  Mode mode = Mode::enforce;
};

template <typename Value> bool holds(const std::vector<Value>& wanted, Value value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

template <typename Matches> bool any_of(const std::vector<std::string>& patterns, Matches matches) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), matches);
}

bool any_glob(const std::vector<std::string>& patterns, std::string_view text, Case letters) {
  return any_of(patterns, [&](const std::string& pattern) {
    return pattern == "*" || glob_matches(pattern, text, letters);
  });
}

// "org" of "org/name" and "datasets/org/name"; "" for a name without one.
std::string_view organisation_of(std::string_view repo) {
  for (const std::string_view kind: {"datasets/", "spaces/", "models/"})
    if (repo.substr(0, kind.size()) == kind) {
      repo.remove_prefix(kind.size());
      break;
    }
  const std::size_t slash = repo.find('/');
  return slash == std::string_view::npos ? std::string_view() : repo.substr(0, slash);
}

std::string_view short_revision(std::string_view revision) {
  for (const std::string_view prefix: {"refs/heads/", "refs/tags/"})
    if (revision.substr(0, prefix.size()) == prefix) return revision.substr(prefix.size());
  return revision;
}

// The part of a match that is the same for every item of an object.
bool context_matches(const Match& match, const Report& report, const Context& context) {
  if (!holds(match.direction, context.direction) || !holds(match.road, context.road)) return false;
  if (!any_glob(match.hub, context.hub, Case::insensitive)) return false;
  if (!any_of(match.repo, [&](const std::string& p) { return repo_glob_matches(p, context.repo); }))
    return false;
  if (!any_glob(match.organisation, organisation_of(context.repo), Case::insensitive)) return false;
  if (!any_of(match.revision, [&](const std::string& p) {
        return p == "*" || glob_matches(p, context.revision, Case::sensitive) ||
               glob_matches(p, short_revision(context.revision), Case::sensitive);
      }))
    return false;
  if (!any_of(match.path, [&](const std::string& p) { return path_glob_matches(p, context.path); }))
    return false;
  const std::string_view format = report.format.empty() ? "unknown" : report.format;
  if (!any_glob(match.format, format, Case::sensitive)) return false;
  const std::uint64_t size = std::max(context.size, report.size);
  if (match.size_min && size < *match.size_min) return false;
  if (match.size_max && size > *match.size_max) return false;
  if (!any_glob(match.user, context.user, Case::sensitive)) return false;
  if (match.group.empty()) return true;
  return std::any_of(context.groups.begin(), context.groups.end(), [&](const std::string& group) {
    return any_glob(match.group, group, Case::sensitive);
  });
}

bool item_matches(const Match& match, const Item& item) {
  if (!holds(match.verdict, item.verdict)) return false;
  if (item.finding != nullptr) {
    const Finding& finding = *item.finding;
    // Informational findings decide only where a rule asks for them.
    if (finding.severity == Severity::informational && !match.asks_finding()) return false;
    return match.reason.empty() && holds(match.severity, finding.severity) &&
           holds(match.reach, finding.reach) &&
           any_glob(match.klass, finding.klass, Case::sensitive) &&
           any_glob(match.rules, finding.rule, Case::sensitive);
  }
  if (match.asks_finding()) return false;
  if (item.gap != nullptr)
    return holds(match.reason, item.gap->reason) && holds(match.reach, item.gap->reach);
  return match.reason.empty() && match.reach.empty();
}

// A rule that lets pass never takes malicious with it unless it says so.
bool may_decide(const PolicyRule& rule, const Item& item) {
  return rule.action >= Action::block || rule.overrides_malicious || item.finding == nullptr ||
         item.finding->severity != Severity::malicious;
}

int weight(const Item& item) {
  if (item.finding != nullptr) return 2 + static_cast<int>(item.finding->severity) * 2;
  if (item.gap != nullptr) return item.gap->reach == Reach::load ? 3 : 1;
  return 0;
}

std::string sentence(const Outcome& outcome, const Policy::Model& model) {
  if (outcome.rule == nullptr) return "no rule of policy " + model.name + " matches";
  if (!outcome.rule->reason.empty()) return outcome.rule->reason;
  return "rule " + outcome.rule->id + " of policy " + model.name + " says " +
         std::string(to_string(outcome.action));
}

constexpr std::string_view k_no_rule = "no-rule-matched";

// Walks the rules for the items of one object.
class Evaluation {
public:
  Evaluation(const Policy::Model& model, const Report& report, const Context& context)
      : model_(model) {
    for (const auto& rule: model.rules)
      if (rule.mode.value_or(model.mode) != Mode::off &&
          context_matches(rule.match, report, context))
        rules_.push_back(&rule);
  }

  void put(const Item& item) {
    Outcome enforced;
    Outcome full;
    std::optional<Outcome> audited;
    const bool known = decide(item, enforced, audited);
    if (!known && !audited) {
      if (item.finding != nullptr && item.finding->severity == Severity::informational) return;
      enforced = {Action::block, nullptr, model_.mode};
      full = enforced;
      if (model_.mode == Mode::audit) enforced.action = Action::allow;
    } else {
      full = audited ? *audited : enforced;
      if (!known) enforced = {Action::allow, audited->rule, Mode::audit};
    }
    if (!seen_ || stricter(enforced, item, enforced_, enforced_item_)) {
      enforced_ = enforced;
      enforced_item_ = item;
    }
    if (!seen_ || stricter(full, item, full_, full_item_)) {
      full_ = full;
      full_item_ = item;
    }
    seen_ = true;
    if (enforced.action >= Action::block) add_blocker(item, enforced);
  }

  Decision finish() && {
    Decision out;
    out.action = enforced_.action;
    out.would_be = full_.action;
    out.rule = enforced_.rule == nullptr ? k_no_rule : enforced_.rule->id;
    out.would_be_rule = full_.rule == nullptr ? k_no_rule : full_.rule->id;
    const bool tells_audit = full_.action > enforced_.action;
    out.mode = tells_audit ? Mode::audit : enforced_.mode;
    out.reason = sentence(tells_audit ? full_ : enforced_, model_);
    const Item& item = tells_audit ? full_item_ : enforced_item_;
    if (item.finding != nullptr) out.finding = *item.finding;
    if (item.gap != nullptr) out.gap = *item.gap;
    out.blockers = std::move(blockers_);
    return out;
  }

private:
  // The first enforced rule decides; the first audited one before it is what would have happened.
  bool decide(const Item& item, Outcome& enforced, std::optional<Outcome>& audited) const {
    for (const PolicyRule* rule: rules_) {
      if (!item_matches(rule->match, item) || !may_decide(*rule, item)) continue;
      const Mode mode = rule->mode.value_or(model_.mode);
      if (mode == Mode::audit) {
        if (!audited) audited = Outcome{rule->action, rule, mode};
        continue;
      }
      enforced = {rule->action, rule, mode};
      return true;
    }
    return false;
  }

  static bool stricter(const Outcome& a, const Item& a_item, const Outcome& b, const Item& b_item) {
    return a.action != b.action ? a.action > b.action : weight(a_item) > weight(b_item);
  }

  void add_blocker(const Item& item, const Outcome& outcome) {
    std::string id;
    // A rule that looks at the way and not at the content blocks whatever was found.
    if (outcome.rule != nullptr && !outcome.rule->match.asks_content())
      id = "policy:" + outcome.rule->id;
    else if (item.finding != nullptr)
      id = item.finding->rule;
    else if (item.gap != nullptr)
      id = "gap:" + std::string(to_string(item.gap->reason));
    else
      id = "policy:" + std::string(outcome.rule == nullptr ? k_no_rule : outcome.rule->id);
    if (std::find(blockers_.begin(), blockers_.end(), id) == blockers_.end())
      blockers_.push_back(std::move(id));
  }

  const Policy::Model& model_;
  std::vector<const PolicyRule*> rules_;
  bool seen_ = false;
  Outcome enforced_;
  Outcome full_;
  Item enforced_item_;
  Item full_item_;
  std::vector<std::string> blockers_;
};

} // namespace

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> out;
  for (const auto& preset: preset_texts())
    out.push_back(preset.name);
  return out;
}

Result<Policy> Policy::from_yaml(std::string_view text, std::string_view source) {
  yaml::Document document = yaml::parse(text, source);
  auto model = std::make_shared<Model>(read_policy(document, source));
  if (auto error = document.first_error()) return *error;
  model->digest = hex(sha256(as_bytes(text)));
  return Policy(std::move(model));
}

std::vector<yaml::Problem> Policy::check(std::string_view text, std::string_view source) {
  yaml::Document document = yaml::parse(text, source);
  read_policy(document, source);
  return document.problems();
}

Result<Policy> Policy::load(const std::filesystem::path& file) {
  return from_yaml(HUBGATE_TRY(yaml::read_file(file, k_file_max)), file.string());
}

Result<Policy> Policy::preset(std::string_view name) {
  for (const auto& preset: preset_texts())
    if (preset.name == name) return from_yaml(preset.yaml, name);
  return Error{"no preset is called '" + printable(name, 60) + "'"};
}

Result<Policy> Policy::named(std::string_view name_or_file) {
  if (name_or_file.empty()) return preset(preset_texts().front().name);
  for (const auto& preset_text: preset_texts())
    if (preset_text.name == name_or_file) return preset(name_or_file);
  std::error_code error;
  if (name_or_file.find_first_of("/.") == std::string_view::npos &&
      !std::filesystem::exists(name_or_file, error))
    return Error{"'" + printable(name_or_file, 60) +
                 "' is neither a preset (guarded, strict, audit) nor a file"};
  return load(name_or_file);
}

Decision Policy::decide(const Report& report, const Context& context) const {
  const std::optional<Gap> unlisted = unlisted_gap(report);
  VerdictKind kind = VerdictKind::clean;
  std::vector<const Finding*> findings;
  for (const auto& finding: report.findings) {
    if (!holds_under(finding, context.path)) continue;
    findings.push_back(&finding);
    if (finding.severity == Severity::malicious) kind = VerdictKind::malicious;
    if (finding.severity == Severity::suspicious) kind = std::max(kind, VerdictKind::suspicious);
  }
  const bool inconclusive = !report.gaps.empty() || unlisted.has_value();

  Decision out;
  if (model_->mode == Mode::off) {
    out.action = Action::allow;
    out.would_be = Action::allow;
    out.mode = Mode::off;
    out.reason = "policy " + model_->name + " is off";
  } else {
    Evaluation evaluation(*model_, report, context);
    for (const Finding* finding: findings)
      evaluation.put({finding, nullptr, kind});
    for (const Gap& gap: report.gaps)
      evaluation.put({nullptr, &gap, VerdictKind::inconclusive});
    if (unlisted) evaluation.put({nullptr, &*unlisted, VerdictKind::inconclusive});
    if (kind == VerdictKind::clean && !inconclusive)
      evaluation.put({nullptr, nullptr, VerdictKind::clean});
    out = std::move(evaluation).finish();
  }
  out.inconclusive = inconclusive;
  out.verdict = kind == VerdictKind::clean && inconclusive ? VerdictKind::inconclusive : kind;
  return out;
}

const std::string& Policy::name() const {
  return model_->name;
}
const std::string& Policy::digest() const {
  return model_->digest;
}
Mode Policy::mode() const {
  return model_->mode;
}

std::string_view to_string(Direction value) {
  return name_of(k_directions, value);
}
std::string_view to_string(Road value) {
  return name_of(k_roads, value);
}
std::string_view to_string(Action value) {
  return name_of(k_actions, value);
}
std::string_view to_string(Mode value) {
  return name_of(k_modes, value);
}
std::optional<Direction> direction_from(std::string_view text) {
  return value_of<Direction>(k_directions, text);
}
std::optional<Road> road_from(std::string_view text) {
  return value_of<Road>(k_roads, text);
}
std::optional<Action> action_from(std::string_view text) {
  return value_of<Action>(k_actions, text);
}
std::optional<Mode> mode_from(std::string_view text) {
  return value_of<Mode>(k_modes, text);
}

} // namespace hubgate
