// Matching and deciding. See policy.hpp for what decides over what.
#include "policy/model.hpp"
#include "scanner/core/glob.hpp"
#include "scanner/tree/tree.hpp"

#include <algorithm>
#include <utility>

namespace hubgate {
namespace {

// What a match says for an object that no format claims.
constexpr std::string_view k_unknown_format = "unknown";

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

constexpr std::string_view k_heads = "refs/heads/";

std::string_view short_revision(std::string_view revision) {
  for (const std::string_view prefix: {k_heads, std::string_view("refs/tags/")})
    if (revision.substr(0, prefix.size()) == prefix) return revision.substr(prefix.size());
  return revision;
}

// Of a pull only the short name is known: it may be a branch.
std::string_view branch_of(std::string_view revision) {
  if (revision.substr(0, k_heads.size()) == k_heads) return revision.substr(k_heads.size());
  return revision.substr(0, 5) == "refs/" ? std::string_view() : revision;
}

std::string ref_of(std::string_view revision) {
  if (revision.empty() || revision.substr(0, 5) == "refs/") return std::string(revision);
  return std::string(k_heads) + std::string(revision);
}

bool in_any_group(const Match& match, std::span<const Group> groups, const Context& context) {
  const auto wanted = [&](const std::string& group) {
    return any_glob(match.group, group, Case::sensitive);
  };
  if (std::any_of(context.groups.begin(), context.groups.end(), wanted)) return true;
  return std::any_of(groups.begin(), groups.end(), [&](const Group& group) {
    return wanted(group.name) && !context.user.empty() &&
           any_glob(group.users, context.user, Case::sensitive);
  });
}

// The fields that a push or pull has of itself, whatever the object.
std::string_view who_or_where_mismatch(const Match& match, std::span<const Group> groups,
                                       const Context& context) {
  if (!any_of(match.revision, [&](const std::string& p) {
        return p == "*" || glob_matches(p, context.revision, Case::sensitive) ||
               glob_matches(p, short_revision(context.revision), Case::sensitive);
      }))
    return "revision";
  if (!any_of(match.branch, [&](const std::string& p) {
        const std::string_view branch = branch_of(context.revision);
        return !branch.empty() && (p == "*" || glob_matches(p, branch, Case::sensitive));
      }))
    return "branch";
  if (!any_of(match.ref, [&](const std::string& p) {
        return p == "*" || glob_matches(p, ref_of(context.revision), Case::sensitive);
      }))
    return "ref";
  if (!any_glob(match.user, context.user, Case::sensitive)) return "user";
  if (!match.group.empty() && !in_any_group(match, groups, context)) return "group";
  return {};
}

// The part of a match that is the same for every item of an object: the first field that does not
// agree, "" when all do.
std::string_view context_mismatch(const Match& match, std::span<const Group> groups,
                                  const Report& report, const Context& context) {
  if (!holds(match.direction, context.direction)) return "direction";
  if (!holds(match.road, context.road)) return "road";
  if (!any_glob(match.hub, context.hub, Case::insensitive)) return "hub";
  if (!any_of(match.repo, [&](const std::string& p) { return repo_glob_matches(p, context.repo); }))
    return "repo";
  if (!any_glob(match.organisation, organisation_of(context.repo), Case::insensitive))
    return "organisation";
  if (const auto field = who_or_where_mismatch(match, groups, context); !field.empty())
    return field;
  if (!any_of(match.path, [&](const std::string& p) { return path_glob_matches(p, context.path); }))
    return "path";
  const std::string_view format =
      report.format.empty() ? k_unknown_format : std::string_view(report.format);
  if (!any_glob(match.format, format, Case::sensitive)) return "format";
  const std::uint64_t size = std::max(context.size, report.size);
  if (match.size_min && size < *match.size_min) return "size";
  if (match.size_max && size > *match.size_max) return "size";
  // As the gate computed it: what is not hashed to its end yet is no known object.
  if (!match.sha256.empty() && (!context.sha256 || !holds(match.sha256, *context.sha256)))
    return "sha256";
  return {};
}

// The same for what is particular to an item.
std::string_view item_mismatch(const Match& match, const Item& item) {
  if (!holds(match.verdict, item.verdict)) return "verdict";
  if (item.finding != nullptr) {
    const Finding& finding = *item.finding;
    // Informational findings decide only where a rule asks for them.
    if (finding.severity == Severity::informational && !match.asks_finding()) return "severity";
    if (!match.reason.empty()) return "reason";
    if (!holds(match.severity, finding.severity)) return "severity";
    if (!holds(match.reach, finding.reach)) return "reach";
    if (!any_glob(match.klass, finding.klass, Case::sensitive)) return "class";
    return any_glob(match.rules, finding.rule, Case::sensitive) ? "" : "rules";
  }
  if (!match.severity.empty()) return "severity";
  if (!match.klass.empty()) return "class";
  if (!match.rules.empty()) return "rules";
  if (item.gap != nullptr) {
    if (!holds(match.reason, item.gap->reason)) return "reason";
    return holds(match.reach, item.gap->reach) ? "" : "reach";
  }
  if (!match.reason.empty()) return "reason";
  return match.reach.empty() ? "" : "reach";
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

std::string name_of(const Item& item) {
  if (item.finding != nullptr) return item.finding->rule;
  if (item.gap != nullptr) return "gap:" + std::string(to_string(item.gap->reason));
  return "the object";
}

// What is to be decided of an object under its path.
struct Items {
  std::vector<Item> list;                   // points into the report and `unlisted`
  VerdictKind verdict = VerdictKind::clean; // by the findings alone
  bool inconclusive = false;
  std::optional<Gap> unlisted;

  Items(const Report& report, const Context& context) : unlisted(unlisted_gap(report)) {
    for (const auto& finding: report.findings) {
      if (!holds_under(finding.condition, finding.where, context.path)) continue;
      list.push_back({&finding, nullptr, {}});
      if (finding.severity == Severity::malicious) verdict = VerdictKind::malicious;
      if (finding.severity == Severity::suspicious)
        verdict = std::max(verdict, VerdictKind::suspicious);
    }
    for (Item& item: list)
      item.verdict = verdict;
    const std::size_t findings = list.size();
    for (const auto& gap: report.gaps)
      if (holds_under(gap.condition, gap.where, context.path))
        list.push_back({nullptr, &gap, VerdictKind::inconclusive});
    if (unlisted) list.push_back({nullptr, &*unlisted, VerdictKind::inconclusive});
    inconclusive = list.size() > findings;
    // A tree is no object: its files are put to the rules themselves.
    if (verdict == VerdictKind::clean && !inconclusive && report.format != k_tree_format)
      list.push_back({nullptr, nullptr, VerdictKind::clean});
  }
  Items(const Items&) = delete;
  Items& operator=(const Items&) = delete;
};

constexpr std::string_view k_no_rule = "no-rule-matched";

// Walks the rules for the items of one object.
class Evaluation {
public:
  Evaluation(const Policy::Model& model, const Report& report, const Context& context)
      : model_(model) {
    for (const auto& rule: model.rules)
      if (rule.mode.value_or(model.mode) != Mode::off &&
          context_mismatch(rule.match, model.groups, report, context).empty())
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

  /// Something was decided: false only for a tree without findings that a rule asks for.
  bool seen() const { return seen_; }

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
      if (!item_mismatch(rule->match, item).empty() || !may_decide(*rule, item)) continue;
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

Decision nothing_to_decide() {
  Decision out;
  out.action = Action::allow;
  out.would_be = Action::allow;
  out.rule = "nothing-across-files";
  out.would_be_rule = out.rule;
  out.reason = "the files say nothing together that a rule asks for";
  return out;
}

} // namespace

Decision Policy::decide(const Report& report, const Context& context) const {
  const Items items(report, context);
  Decision out;
  if (model_->mode == Mode::off) {
    out.action = Action::allow;
    out.would_be = Action::allow;
    out.mode = Mode::off;
    out.reason = "policy " + model_->name + " is off";
  } else {
    Evaluation evaluation(*model_, report, context);
    for (const Item& item: items.list)
      evaluation.put(item);
    if (evaluation.seen())
      out = std::move(evaluation).finish();
    else
      out = nothing_to_decide();
  }
  out.inconclusive = items.inconclusive;
  out.verdict = items.verdict == VerdictKind::clean && items.inconclusive
                    ? VerdictKind::inconclusive
                    : items.verdict;
  return out;
}

std::string Policy::class_of(const Context& context) const {
  std::string bits;
  for (const PolicyRule& rule: model_->rules)
    if (rule.match.asks_who_or_where())
      bits += who_or_where_mismatch(rule.match, model_->groups, context).empty() ? '1' : '0';
  return bits.size() <= 64 ? bits : hex(sha256(as_bytes(bits)));
}

std::vector<RuleTrace> Policy::explain(const Report& report, const Context& context) const {
  const Items items(report, context);
  std::vector<RuleTrace> out;
  std::vector<bool> decided(items.list.size());
  for (const PolicyRule& rule: model_->rules) {
    RuleTrace trace{rule.id, rule.line, rule.action, rule.mode.value_or(model_->mode), {}, {}};
    if (model_->mode == Mode::off || trace.mode == Mode::off)
      trace.mismatch = "it is off";
    else
      trace.mismatch = context_mismatch(rule.match, model_->groups, report, context);
    std::string_view nearest;
    for (std::size_t i = 0; i < items.list.size() && trace.mismatch.empty(); ++i) {
      const Item& item = items.list[i];
      if (const auto mismatch = item_mismatch(rule.match, item); !mismatch.empty()) {
        nearest = mismatch;
      } else if (!may_decide(rule, item)) {
        nearest = "malicious, and the rule has no override";
      } else if (decided[i]) {
        nearest = "an earlier rule decided";
      } else {
        trace.decides.push_back(name_of(item));
        decided[i] = trace.mode == Mode::enforce;
      }
    }
    if (trace.mismatch.empty() && trace.decides.empty()) trace.mismatch = nearest;
    out.push_back(std::move(trace));
  }
  return out;
}

} // namespace hubgate
