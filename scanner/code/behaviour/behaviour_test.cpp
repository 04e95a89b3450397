// Every rule against the samples beside it, and the language itself.
#include "scanner/code/behaviour/rule_set.hpp"
#include "scanner/code/python/analyse.hpp"
#include "scanner/code/shell/shell.hpp"
#include "scanner/core/session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>

namespace hubgate::behaviour {
namespace {

// Python samples go through the whole analysis: what rules see is what the evaluator resolved.
template <python::UnitKind k_kind> Reading scan_python(Source& source, Session& session) {
  const std::string text(as_text(source.view(0, 1 << 16)));
  python::analyse_python(text, {.kind = k_kind}, session);
  return Reading::valid;
}

Claim claim_all(const Probe&) {
  return Claim::yes;
}

std::vector<std::string> python_findings(const std::string& text, UnitKind kind) {
  const Format format{.name = "sample",
                      .family = "sample",
                      .probe = claim_all,
                      .scan = kind == UnitKind::weights ? scan_python<python::UnitKind::weights>
                                                        : scan_python<python::UnitKind::source>};
  const Format* const table[] = {&format};
  MemorySource source(as_bytes(text));
  std::vector<std::string> out;
  for (const Finding& finding: scan_object(table, source, {}, nullptr).findings)
    out.push_back(finding.rule);
  return out;
}

std::vector<std::string> shell_hits(const std::string& text, const RuleSet& rules) {
  Unit unit(UnitKind::shell, rules);
  shell::logical_lines(text, [&](std::string_view line, std::size_t offset) {
    unit.text(line, static_cast<std::uint32_t>(offset));
  });
  std::vector<std::string> out;
  for (const Hit& hit: unit.hits())
    out.emplace_back(hit.rule->id);
  return out;
}

TEST(BehaviourRules, are_read_without_problems) {
  for (const std::string& problem: builtin_rules().problems())
    ADD_FAILURE() << problem;
  EXPECT_GE(builtin_rules().rules().size(), 60u);
}

TEST(BehaviourRules, have_samples_of_both_kinds) {
  std::map<std::string, std::pair<int, int>> count;
  for (const Sample& sample: builtin_rules().samples())
    ++(sample.match ? count[sample.rule].first : count[sample.rule].second);
  for (const CompiledRule& rule: builtin_rules().rules()) {
    const auto& [match, no_match] = count[std::string(rule.rule.id.substr(10))];
    EXPECT_GT(match, 0) << rule.rule.id;
    EXPECT_GT(no_match, 0) << rule.rule.id;
  }
}

TEST(BehaviourRules, hold_for_their_samples_only) {
  const RuleSet& rules = builtin_rules();
  for (const Sample& sample: rules.samples()) {
    const std::string id = "behaviour-" + sample.rule;
    const auto rule = std::find_if(rules.rules().begin(), rules.rules().end(),
                                   [&](const CompiledRule& one) { return one.rule.id == id; });
    ASSERT_NE(rule, rules.rules().end()) << id;
    const auto found = sample.kind == UnitKind::shell ? shell_hits(sample.text, rules)
                                                      : python_findings(sample.text, sample.kind);
    const bool python = sample.kind != UnitKind::shell;
    const std::string& wanted = python && !rule->finding.empty() ? rule->finding : id;
    const bool holds = std::find(found.begin(), found.end(), wanted) != found.end();
    EXPECT_EQ(holds, sample.match) << id << ", line " << sample.line << "\n" << sample.text;
  }
}

std::string problem_of(std::string_view text) {
  const RuleFile file{"x", text};
  const RuleSet rules(std::span(&file, 1));
  return rules.problems().empty() ? "" : rules.problems().front();
}

constexpr std::string_view k_head =
    "rule a\nclass theft\ncwe CWE-1\natlas AML.T1\nunits shell\nmeans x\n";

TEST(BehaviourLanguage, tells_mistakes_with_their_line) {
  const auto after = [](std::string_view rest) {
    return problem_of(std::string(k_head) + std::string(rest));
  };
  EXPECT_EQ(after("text a = \"abc\"\nwhen a\n"), "");
  EXPECT_NE(after("text a = \"abc\"\nwhen b\n").find("x:8: knows no feature b"), std::string::npos);
  EXPECT_NE(after("text a = \"abc\"\ntext b = \"bcd\"\nwhen a\n"), "");
  EXPECT_NE(after("text a = \"abc\nwhen a\n"), "");
  EXPECT_NE(after("regex a = \"abc\" /(/\nwhen a\n"), "");
  EXPECT_NE(after("regex a = \"abc\"\nwhen a\n"), "");
  EXPECT_NE(after("text a = \"abc\"\n"), "");
  EXPECT_NE(after("text a = \"abc\"\nwhen a and\n"), "");
  EXPECT_NE(after("text a = \"abc\"\nwhen (a\n"), "");
  EXPECT_NE(after("text a = \"abc\"\nwhen a a\n"), "");
  EXPECT_NE(after("colour red\n"), "");
  EXPECT_NE(after("text a = \"abc\"\nwhen a\nmatch shell <<\nabc\n"), "");
  EXPECT_NE(problem_of("class theft\n"), "");
  EXPECT_NE(problem_of("rule A_b\n"), "");
}

TEST(BehaviourLanguage, combines_features) {
  const std::string text = std::string(k_head) +
                           "within unit\ntext a = \"\\bone\\b\"\ntext b = \"two\"\ntext c = "
                           "\"three\"\nregex d = \"four\" /four\\d+/\n"
                           "when 2 of (a, b, c) and not d\n";
  const RuleFile file{"x", text};
  const RuleSet rules(std::span(&file, 1));
  ASSERT_TRUE(rules.problems().empty()) << rules.problems().front();
  EXPECT_EQ(shell_hits("ONE\nTwo\n", rules).size(), 1u);
  EXPECT_EQ(shell_hits("onetwo\n", rules).size(), 0u); // no word of its own
  EXPECT_EQ(shell_hits("one\nthree four\n", rules).size(), 1u);
  EXPECT_EQ(shell_hits("one\nthree four4\n", rules).size(), 0u);
  EXPECT_EQ(shell_hits("one one one\n", rules).size(), 0u);
}

TEST(BehaviourLanguage, looks_within_one_text) {
  const std::string text = std::string(k_head) + "within text\ntext a = \"one\"\ntext b = \"two\"\n"
                                                 "when a and b\n";
  const RuleFile file{"x", text};
  const RuleSet rules(std::span(&file, 1));
  EXPECT_EQ(shell_hits("one two\n", rules).size(), 1u);
  EXPECT_EQ(shell_hits("one\ntwo\n", rules).size(), 0u);
}

TEST(BehaviourUnit, is_linear_in_texts_that_nearly_match) {
  std::string text;
  while (text.size() < (std::size_t{1} << 20))
    text += "curl wget bash powershell /dev/tcp/ nc ssh $(whoami) stratum+tcp base64 ";
  const auto begin = std::chrono::steady_clock::now();
  Unit unit(UnitKind::shell);
  for (std::size_t at = 0; at < text.size(); at += 1 << 16)
    unit.text(std::string_view(text).substr(at, 1 << 16), static_cast<std::uint32_t>(at));
  (void)unit.hits();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 20.0);
}

} // namespace
} // namespace hubgate::behaviour
