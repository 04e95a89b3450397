#include "policy/policy.hpp"

#include "policy/test_reports.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace hubgate {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Action preset_action(std::string_view name, const Report& report) {
  return Policy::preset(name)->decide(report, context()).action;
}

struct PresetCase {
  const char* what;
  Report report;
  Action guarded;
  Action strict;
};

std::vector<PresetCase> preset_cases() {
  return {
      {"clean", report({}), Action::allow, Action::allow},
      {"informational only", report({note()}), Action::allow, Action::allow},
      {"malicious", report({malicious()}), Action::block, Action::block},
      {"unknown call", report({unknown_call()}), Action::block, Action::block},
      {"unknown class", report({unknown_class()}), Action::annotate, Action::block},
      {"both", report({unknown_class(), unknown_call()}), Action::block, Action::block},
      {"opaque", report({}, {gap(Reason::opaque, Reach::data)}), Action::annotate, Action::block},
      {"broken pickle", report({}, {gap(Reason::truncated, Reach::load)}), Action::block,
       Action::block},
      {"crash", report({}, {gap(Reason::crash, Reach::load)}), Action::block, Action::block},
      {"suspicious and unread", report({unknown_class()}, {gap(Reason::budget, Reach::load)}),
       Action::block, Action::block},
      {"suspicious and opaque", report({unknown_class()}, {gap(Reason::opaque, Reach::data)}),
       Action::annotate, Action::block},
      {"note and opaque", report({note()}, {gap(Reason::opaque, Reach::data)}), Action::annotate,
       Action::block},
  };
}

TEST(Presets, DecideAsTheDesignSays) {
  for (const auto& each: preset_cases()) {
    EXPECT_EQ(preset_action("guarded", each.report), each.guarded) << each.what;
    EXPECT_EQ(preset_action("strict", each.report), each.strict) << each.what;
  }
}

TEST(Presets, AuditBlocksNothingAndKnowsWhatGuardedWouldDo) {
  const Policy audit = *Policy::preset("audit");
  const Policy guarded = *Policy::preset("guarded");
  for (const auto& each: preset_cases()) {
    const Decision decision = audit.decide(each.report, context());
    EXPECT_EQ(decision.action, Action::allow) << each.what;
    EXPECT_EQ(decision.would_be, each.guarded) << each.what;
    EXPECT_EQ(decision.would_be_rule, guarded.decide(each.report, context()).rule) << each.what;
    EXPECT_EQ(decision.mode, Mode::audit) << each.what;
    EXPECT_THAT(decision.blockers, IsEmpty());
  }
}

TEST(Presets, GuardedIsTheDefaultAndNamesAreChecked) {
  EXPECT_EQ(Policy::named("")->name(), "guarded");
  EXPECT_EQ(Policy::named("strict")->name(), "strict");
  EXPECT_THAT(Policy::named("gaurded").error().message, HasSubstr("neither a preset"));
  EXPECT_THAT(Policy::named("/absent/policy.yaml").error().message, HasSubstr("no such file"));
  EXPECT_THAT(Policy::load("/").error().message, HasSubstr("is a directory"));
}

TEST(Decision, NothingMatchesIsABlockThatSaysSo) {
  const Decision decision = policy("  - {id: clean, match: {verdict: clean}, action: allow}\n")
                                .decide(report({unknown_class()}), context());
  EXPECT_EQ(decision.action, Action::block);
  EXPECT_EQ(decision.rule, "no-rule-matched");
  EXPECT_THAT(decision.reason, HasSubstr("no rule of policy test matches"));
  EXPECT_THAT(decision.blockers, ElementsAre("pickle-unknown-class"));
}

// POL-013: content that is known to be bad, or known to be good.
TEST(Decision, MatchesTheHashOfTheBytes) {
  const std::string bad(64, 'a');
  const auto policy = Policy::from_yaml("version: 1\nrules:\n"
                                        "  - {id: known-bad, match: {sha256: ['" +
                                            bad + "', '" + std::string(64, 'b') +
                                            "']}, action: block}\n"
                                            "  - {id: rest, action: allow}\n",
                                        "hashes.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  Context arrived = context();
  arrived.sha256 = Sha256{};
  arrived.sha256->fill(0xaa);
  const Decision known = policy->decide(report({}), arrived);
  EXPECT_EQ(known.rule, "known-bad");
  EXPECT_EQ(known.action, Action::block);
  EXPECT_THAT(known.blockers, ElementsAre("policy:known-bad"));
  arrived.sha256->back() = 0xab;
  EXPECT_EQ(policy->decide(report({}), arrived).rule, "rest");
  arrived.sha256.reset(); // nobody has seen its end
  EXPECT_EQ(policy->decide(report({}), arrived).rule, "rest");
  const auto wrong = Policy::from_yaml(
      "version: 1\nrules:\n  - {id: a, match: {sha256: abc}, action: block}\n", "hashes.yaml");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("rules[1].match.sha256"));
}

TEST(Decision, FirstMatchWins) {
  const Policy tested = policy("  - {id: ours, match: {repo: acme/*}, action: annotate}\n"
                               "  - {id: rest, action: block}\n");
  EXPECT_EQ(tested.decide(report({unknown_class()}), context()).rule, "ours");
  EXPECT_EQ(tested.decide(report({unknown_class()}), context("x", "other/x")).rule, "rest");
}

TEST(Decision, ALenientRuleCarriesNothingElseAlong) {
  const Policy tested =
      policy("  - {id: private, match: {class: unknown-class}, action: allow}\n"
             "  - {id: suspicious, match: {verdict: suspicious}, action: block}\n");
  EXPECT_EQ(tested.decide(report({unknown_class()}), context()).action, Action::allow);
  const Decision both = tested.decide(report({unknown_class(), unknown_call()}), context());
  EXPECT_EQ(both.action, Action::block);
  EXPECT_EQ(both.finding->rule, "pickle-unknown-call");
  EXPECT_THAT(both.blockers, ElementsAre("pickle-unknown-call"));
}

TEST(Decision, MaliciousPassesOnlyWithOverride) {
  const Policy all = policy("  - {id: all, action: allow}\n");
  EXPECT_EQ(all.decide(report({malicious()}), context()).action, Action::block);
  EXPECT_EQ(all.decide(report({malicious()}), context()).rule, "no-rule-matched");
  EXPECT_EQ(all.decide(report({unknown_call()}), context()).action, Action::allow);
  const Policy lab = policy("  - {id: lab, match: {repo: lab/*}, action: annotate, "
                            "override: malicious}\n");
  EXPECT_EQ(lab.decide(report({malicious()}), context("x", "lab/x")).action, Action::annotate);
  EXPECT_EQ(lab.decide(report({malicious()}), context("x", "acme/x")).action, Action::block);
}

TEST(Decision, InconclusiveGetsTheStricterOfTwo) {
  const Policy tested =
      policy("  - {id: some, match: {verdict: suspicious}, action: annotate}\n"
             "  - {id: unread, match: {verdict: inconclusive}, action: quarantine}\n");
  const Decision decision =
      tested.decide(report({unknown_class()}, {gap(Reason::timeout, Reach::load)}), context());
  EXPECT_EQ(decision.verdict, VerdictKind::suspicious);
  EXPECT_TRUE(decision.inconclusive);
  EXPECT_EQ(decision.action, Action::quarantine);
  EXPECT_EQ(decision.gap->reason, Reason::timeout);
  EXPECT_THAT(decision.blockers, ElementsAre("gap:timeout"));
}

TEST(Decision, TheStrictestFindingIsNamed) {
  const Decision decision =
      Policy::preset("strict")->decide(report({unknown_class(), malicious()}), context());
  EXPECT_EQ(decision.finding->rule, "pickle-dangerous-call");
  EXPECT_EQ(decision.rule, "malicious");
  EXPECT_THAT(decision.blockers, ElementsAre("pickle-unknown-class", "pickle-dangerous-call"));
}

TEST(Decision, InformationalFindingsDecideOnlyWhereAskedFor) {
  const Policy tested = policy("  - {id: old, match: {rules: pickle-old-*}, action: block}\n"
                               "  - {id: clean, match: {verdict: clean}, action: allow}\n");
  EXPECT_EQ(tested.decide(report({note()}), context()).action, Action::block);
  Finding other = note();
  other.rule = "pickle-junk";
  EXPECT_EQ(tested.decide(report({other}), context()).action, Action::allow);
}

TEST(Decision, FullReportsHideNothing) {
  std::vector<Finding> many(1000, unknown_class());
  Report full = report(many);
  full.dropped = 1;
  const Decision decision = Policy::preset("guarded")->decide(full, context());
  EXPECT_EQ(decision.action, Action::block);
  EXPECT_THAT(decision.gap->detail, HasSubstr("1 more finding"));
  // The scanner drops the mildest, so behind an informational one there is nothing worse.
  full.findings.back() = note();
  EXPECT_EQ(Policy::preset("guarded")->decide(full, context()).action, Action::annotate);
}

TEST(Decision, ConditionalFindingsHoldUnderTheirName) {
  Finding conditional = malicious();
  conditional.condition = "*.pth";
  conditional.where.clear();
  const Policy guarded = *Policy::preset("guarded");
  EXPECT_EQ(guarded.decide(report({conditional}), context("a/readme.txt")).action, Action::allow);
  EXPECT_EQ(guarded.decide(report({conditional}), context("a/EVIL.pth")).action, Action::block);
  EXPECT_EQ(guarded.decide(report({conditional}), context("")).action, Action::block)
      << "an object without a name could have any";
  conditional.where = "lib/evil.pth";
  EXPECT_EQ(guarded.decide(report({conditional}), context("wheel.zip")).action, Action::block)
      << "the member has the name";
  EXPECT_EQ(verdict_of(report({conditional}), "wheel.zip").kind, VerdictKind::malicious);

  // Several globs; gaps are conditional in the same way.
  conditional.where.clear();
  conditional.condition = "*.yaml|*.yml";
  EXPECT_EQ(verdict_of(report({conditional}), "a/b.yml").kind, VerdictKind::malicious);
  EXPECT_EQ(verdict_of(report({conditional}), "a/b.yam").kind, VerdictKind::clean);
  Gap gap{Reason::malformed, Reach::load, "", 0, "does not parse", "*.py"};
  EXPECT_EQ(verdict_of(report({}, {gap}), "notes.txt").kind, VerdictKind::clean);
  EXPECT_FALSE(verdict_of(report({}, {gap}), "notes.txt").inconclusive);
  EXPECT_TRUE(verdict_of(report({}, {gap}), "setup.py").inconclusive);
  EXPECT_EQ(guarded.decide(report({}, {gap}), context("notes.txt")).action, Action::allow);
  EXPECT_EQ(guarded.decide(report({}, {gap}), context("setup.py")).action, Action::block);
}

TEST(Verdict, IsTheWorstOfWhatWasSeen) {
  EXPECT_EQ(verdict_of(report({}), "x").kind, VerdictKind::clean);
  EXPECT_EQ(verdict_of(report({note()}), "x").kind, VerdictKind::clean);
  EXPECT_EQ(verdict_of(report({note()}), "x").findings.size(), 1U);
  const Verdict opaque = verdict_of(report({note()}, {gap(Reason::opaque, Reach::data)}), "x");
  EXPECT_EQ(opaque.kind, VerdictKind::inconclusive);
  EXPECT_TRUE(opaque.inconclusive);
  const Verdict both = verdict_of(report({malicious()}, {gap(Reason::crash, Reach::load)}), "x");
  EXPECT_EQ(both.kind, VerdictKind::malicious);
  EXPECT_TRUE(both.inconclusive);
}

// Every match field, once agreeing and once not.
struct FieldCase {
  const char* match;
  Context agrees;
  Context differs;
};

TEST(Match, EachFieldOfTheContext) {
  const auto with = [](auto change) {
    Context out = context("deep/model.pkl");
    change(out);
    return out;
  };
  const Context same = context("deep/model.pkl");
  const std::vector<FieldCase> cases{
      {"direction: pull", same, with([](Context& c) { c.direction = Direction::push; })},
      {"road: [hub, lfs]", same, with([](Context& c) { c.road = Road::hook; })},
      {"hub: hub.*", same, with([](Context& c) { c.hub = "other"; })},
      {"repo: ACME/*", same, with([](Context& c) { c.repo = "acme/a/b"; })},
      {"organisation: acme", with([](Context& c) { c.repo = "datasets/acme/x"; }),
       with([](Context& c) { c.repo = "other/acme"; })},
      {"revision: main", with([](Context& c) { c.revision = "refs/heads/main"; }),
       with([](Context& c) { c.revision = "dev"; })},
      {"branch: main", with([](Context& c) { c.revision = "refs/heads/main"; }),
       with([](Context& c) { c.revision = "refs/tags/main"; })},
      {"branch: 'feature/**'", with([](Context& c) { c.revision = "refs/heads/feature/a/b"; }),
       with([](Context& c) { c.revision = "refs/notes/feature/a"; })},
      {"branch: '*'", with([](Context& c) { c.revision = "refs/heads/a/b"; }),
       with([](Context& c) { c.revision = "refs/for/main"; })},
      {"ref: 'refs/tags/*'", with([](Context& c) { c.revision = "refs/tags/v1"; }),
       with([](Context& c) { c.revision = "v1"; })},
      {"ref: refs/heads/main", with([](Context& c) { c.revision = "main"; }),
       with([](Context& c) { c.revision = "refs/heads/main2"; })},
      {"path: '*.PKL'", same, with([](Context& c) { c.path = "deep/model.bin"; })},
      {"path: 'deep/**'", same, with([](Context& c) { c.path = "model.pkl"; })},
      {"size: {min: 1KB}", with([](Context& c) { c.size = 1000; }),
       with([](Context& c) { c.size = 999; })},
      {"size: {max: 1KB}", with([](Context& c) { c.size = 1000; }),
       with([](Context& c) { c.size = 1001; })},
      {"user: ali*", same, with([](Context& c) { c.user = "bob"; })},
      {"group: [ops, research]", with([](Context& c) { c.groups = {"x", "research"}; }), same},
  };
  for (const auto& each: cases) {
    const Policy tested =
        policy("  - {id: it, match: {" + std::string(each.match) + "}, action: allow}\n");
    EXPECT_EQ(tested.decide(report({}), each.agrees).action, Action::allow) << each.match;
    EXPECT_EQ(tested.decide(report({}), each.differs).action, Action::block) << each.match;
    EXPECT_THAT(tested.explain(report({}), each.differs).front().mismatch,
                HasSubstr(std::string(each.match).substr(0, 3)));
  }
}

Policy policy_of_groups(const std::string& groups, const std::string& rules) {
  const auto read = Policy::from_yaml("version: 1\n" + groups + "rules:\n" + rules, "test");
  if (!read) throw std::runtime_error(read.error().message);
  return *read;
}

TEST(Match, GroupsOfThePolicyItself) {
  const Policy tested = policy_of_groups("groups:\n  ops: [ali*, carol]\n",
                                         "  - {id: it, match: {group: ops}, action: allow}\n");
  const auto passes = [&](const char* user, std::vector<std::string> groups) {
    Context where = context();
    where.user = user;
    where.groups = std::move(groups);
    return tested.decide(report({}), where).passes();
  };
  EXPECT_TRUE(passes("alice", {}));
  EXPECT_TRUE(passes("carol", {}));
  EXPECT_FALSE(passes("bob", {}));
  EXPECT_FALSE(passes("", {}));
  EXPECT_TRUE(passes("bob", {"ops"}));
}

TEST(Class, TellsWhatTheRulesMakeOfRefAndPusher) {
  const Policy blind = policy("  - {id: it, match: {repo: 'a/*', path: x}, action: allow}\n");
  EXPECT_EQ(blind.class_of(context()), "");
  const Policy tested =
      policy_of_groups("groups: {ops: alice}\n",
                       "  - {id: a, match: {branch: main}, action: block}\n"
                       "  - {id: b, match: {group: ops, severity: suspicious}, action: allow}\n");
  const auto of = [&](const char* revision, const char* user) {
    Context where = context();
    where.revision = revision;
    where.user = user;
    return tested.class_of(where);
  };
  EXPECT_EQ(of("refs/heads/a", "bob"), of("refs/heads/b", "carol"));
  EXPECT_NE(of("refs/heads/a", "bob"), of("refs/heads/main", "bob"));
  EXPECT_NE(of("refs/heads/main", "bob"), of("refs/heads/main", "alice"));
  EXPECT_NE(of("refs/heads/a", "alice"), of("refs/heads/main", "alice"));
}

TEST(Match, EachFieldOfTheContent) {
  const auto decides = [](const std::string& match, const Report& seen) {
    return policy("  - {id: it, match: {" + match + "}, action: quarantine}\n")
               .decide(seen, context())
               .rule == "it";
  };
  EXPECT_TRUE(decides("format: pickle", report({})));
  EXPECT_FALSE(decides("format: unknown", report({})));
  Report nothing = report({});
  nothing.format.clear();
  EXPECT_TRUE(decides("format: unknown", nothing));
  EXPECT_TRUE(decides("verdict: clean", report({})));
  EXPECT_FALSE(decides("verdict: clean", report({unknown_class()})));
  EXPECT_TRUE(decides("severity: suspicious", report({unknown_class()})));
  EXPECT_FALSE(decides("severity: malicious", report({unknown_class()})));
  EXPECT_TRUE(decides("class: unknown-*", report({unknown_class()})));
  EXPECT_FALSE(decides("class: unknown-call", report({unknown_class()})));
  EXPECT_TRUE(decides("rules: [a, pickle-unknown-class]", report({unknown_class()})));
  EXPECT_FALSE(decides("rules: pickle-dangerous-call", report({unknown_class()})));
  EXPECT_TRUE(decides("reason: opaque", report({}, {gap(Reason::opaque, Reach::data)})));
  EXPECT_FALSE(decides("reason: crash", report({}, {gap(Reason::opaque, Reach::data)})));
  EXPECT_TRUE(decides("reach: load", report({}, {gap(Reason::crash, Reach::load)})));
  EXPECT_FALSE(decides("reach: load", report({}, {gap(Reason::opaque, Reach::data)})));
  EXPECT_TRUE(decides("reach: load", report({unknown_class()})));
}

TEST(Mode, AnAuditedRuleTellsAndDoesNotAct) {
  const Policy tested =
      policy("  - {id: trial, match: {class: unknown-class}, action: block, mode: audit}\n"
             "  - {id: suspicious, match: {severity: suspicious}, action: annotate}\n");
  const Decision decision = tested.decide(report({unknown_class()}), context());
  EXPECT_EQ(decision.action, Action::annotate);
  EXPECT_EQ(decision.rule, "suspicious");
  EXPECT_EQ(decision.would_be, Action::block);
  EXPECT_EQ(decision.would_be_rule, "trial");
  EXPECT_EQ(decision.mode, Mode::audit);
}

TEST(Mode, AnAuditedRuleDoesNotOpenWhatALaterOneBlocks) {
  const Policy tested =
      policy("  - {id: trial, match: {repo: acme/*}, action: annotate, mode: audit}\n"
             "  - {id: suspicious, match: {severity: suspicious}, action: block}\n");
  EXPECT_EQ(tested.decide(report({unknown_class()}), context()).action, Action::block);
}

TEST(Mode, AnAuditedBlockWithNothingBehindItPasses) {
  const Policy tested =
      policy("  - {id: trial, match: {severity: malicious}, action: block, mode: audit}\n"
             "  - {id: clean, match: {verdict: clean}, action: allow}\n");
  const Decision decision = tested.decide(report({malicious()}), context());
  EXPECT_EQ(decision.action, Action::allow);
  EXPECT_EQ(decision.would_be, Action::block);
}

TEST(Mode, OffIsAsIfItWereNotWritten) {
  const Policy tested = policy("  - {id: no, action: block, mode: off}\n"
                               "  - {id: yes, action: allow}\n");
  EXPECT_EQ(tested.decide(report({}), context()).rule, "yes");
  const Decision off = policy("  - {id: no, action: block}\n", "mode: off\n")
                           .decide(report({malicious()}), context());
  EXPECT_EQ(off.action, Action::allow);
  EXPECT_EQ(off.mode, Mode::off);
  EXPECT_EQ(off.verdict, VerdictKind::malicious);
}

TEST(Mode, ARuleMayEnforceInAnAuditedFile) {
  const Policy tested = policy("  - {id: hard, match: {severity: malicious}, action: block, "
                               "mode: enforce}\n  - {id: rest, action: block}\n",
                               "mode: audit\n");
  EXPECT_EQ(tested.decide(report({malicious()}), context()).action, Action::block);
  EXPECT_EQ(tested.decide(report({unknown_class()}), context()).action, Action::allow);
}

struct BadPolicy {
  const char* text;
  const char* problem;
};

class PolicyCheck : public testing::TestWithParam<BadPolicy> {};

TEST_P(PolicyCheck, NamesLineAndField) {
  std::string all;
  bool errors = false;
  for (const auto& problem: Policy::check(GetParam().text, "p.yaml")) {
    all += to_string(problem) + "\n";
    errors = errors || !problem.warning;
  }
  EXPECT_TRUE(errors) << all;
  EXPECT_THAT(all, HasSubstr(GetParam().problem));
  EXPECT_FALSE(Policy::from_yaml(GetParam().text, "p.yaml"));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, PolicyCheck,
    testing::Values(
        BadPolicy{"rules: []\n", "p.yaml:1: version is missing"},
        BadPolicy{"version: 2\nrules: [{id: a, action: allow}]\n", "p.yaml:1: version:"},
        BadPolicy{"version: 1\n", "rules are missing"},
        BadPolicy{"version: 1\nrules: []\n", "p.yaml:2: rules: is empty"},
        BadPolicy{"version: 1\nrules: nonsense\n", "p.yaml:2: rules: expected a list"},
        BadPolicy{"version: 1\nrules:\n  - {action: allow}\n",
                  "p.yaml:3: rules[1]: a rule needs an id"},
        BadPolicy{"version: 1\nrules:\n  - {id: a}\n", "rules[1]: a rule needs an action"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, action: pass}\n",
                  "p.yaml:3: rules[1].action: 'pass'"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, action: allow}\n  - {id: a, action: allow}\n",
                  "p.yaml:4: rules[2].id: 'a' is the id of an earlier rule too"},
        BadPolicy{
            "version: 1\nrules:\n  - id: a\n    match:\n      verdct: clean\n    action: allow\n",
            "p.yaml:5: rules[1].match: unknown key 'verdct'; did you mean 'verdict'?"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, match: {verdict: malicous}, action: block}\n",
                  "did you mean 'malicious'?"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, match: {verdict: malicious}, action: allow}\n",
                  "override: malicious"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, action: block, override: malicious}\n",
                  "rules[1].override: is for rules that allow or annotate"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, action: allow, override: all}\n",
                  "override: can only be malicious"},
        BadPolicy{
            "version: 1\nrules:\n  - {id: a, match: {size: {min: 2MB, max: 1MB}}, action: block}\n",
            "rules[1].match.size: min is larger than max"},
        BadPolicy{
            "version: 1\nrules:\n  - {id: a, match: {reason: opaque, class: x}, action: block}\n",
            "a finding has no reason"},
        BadPolicy{"version: 1\nrules:\n  - {id: a, match: {verdict: inconclusive, severity: "
                  "suspicious}, action: block}\n",
                  "write two rules"},
        BadPolicy{"version: 1\nmode: off-ish\nrules: [{id: a, action: allow}]\n",
                  "p.yaml:2: mode"}));

TEST(PolicyCheck, WarnsOfNamesThatThisProgramDoesNotKnow) {
  const auto problems =
      Policy::check("version: 1\nrules:\n  - {id: a, match: {class: unknown-cal}, "
                    "action: block}\n  - {id: b, action: block}\n"
                    "  - {id: c, action: block}\n",
                    "p.yaml");
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_TRUE(problems[0].warning && problems[1].warning);
  EXPECT_THAT(to_string(problems[0]), HasSubstr("did you mean 'unknown-call'?"));
  EXPECT_THAT(to_string(problems[1]), HasSubstr("can't be reached"));
}

TEST(PolicyCheck, KnowsTheClassesOfWhatCodeDoes) {
  for (const std::string klass:
       {"remote-control", "theft", "reconnaissance", "execution", "persistence", "destruction",
        "propagation", "proof-of-concept", "dangerous-*"})
    EXPECT_TRUE(Policy::check("version: 1\nrules:\n  - {id: a, match: {class: " + klass +
                                  "}, action: block}\n",
                              "p.yaml")
                    .empty())
        << klass;
}

TEST(PolicyCheck, ThePresetsHaveNoMistakes) {
  for (const auto name: preset_names()) {
    std::ifstream file("policy/presets/" + std::string(name) + ".yaml");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    ASSERT_FALSE(text.empty());
    EXPECT_THAT(Policy::check(text, name), IsEmpty()) << name;
    EXPECT_EQ(Policy::from_yaml(text, name)->digest(), Policy::preset(name)->digest())
        << "the program holds another text than the file";
  }
}

TEST(Explain, SaysWhatBecameOfEveryRule) {
  const auto traces =
      Policy::preset("guarded")->explain(report({malicious(), unknown_class()}), context());
  ASSERT_EQ(traces.size(), 6U);
  EXPECT_THAT(traces[0].decides, ElementsAre("pickle-dangerous-call"));
  EXPECT_EQ(traces[2].mismatch, "verdict");
  EXPECT_THAT(traces[3].decides, ElementsAre("pickle-unknown-class"));
}

} // namespace
} // namespace hubgate
