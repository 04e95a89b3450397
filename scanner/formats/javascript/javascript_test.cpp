#include "scanner/formats/javascript/rules.hpp"
#include "tests/support/quiet.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <map>

namespace hubgate {

extern const Format format_javascript;

namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

const behaviour::RuleSet& rules() {
  static const behaviour::RuleSet set(std::span(&javascript::k_rule_file, 1));
  return set;
}

TEST(JavaScript, rules_are_read_and_those_of_the_table) {
  for (const std::string& problem: rules().problems())
    ADD_FAILURE() << problem;
  ASSERT_EQ(rules().rules().size(), format_javascript.rules.size());
  for (std::size_t i = 0; i < rules().rules().size(); ++i) {
    const Rule& read = rules().rules()[i].rule;
    const Rule& listed = format_javascript.rules[i];
    EXPECT_EQ(read.id, listed.id);
    EXPECT_EQ(read.klass, listed.klass);
    EXPECT_EQ(read.severity, listed.severity) << read.id;
    EXPECT_EQ(read.cwe, listed.cwe) << read.id;
    EXPECT_EQ(read.atlas, listed.atlas) << read.id;
    EXPECT_EQ(read.techniques, listed.techniques) << read.id;
    EXPECT_EQ(read.meaning, listed.meaning) << read.id;
  }
}

TEST(JavaScript, rules_hold_for_their_samples_only) {
  std::map<std::string, std::pair<int, int>> count;
  for (const behaviour::Sample& sample: rules().samples()) {
    const Report report = scan_bytes(sample.text);
    const Finding* finding = find_rule(report, "behaviour-" + sample.rule);
    EXPECT_EQ(finding != nullptr, sample.match) << sample.rule << "\n"
                                                << sample.text << show(report);
    if (finding != nullptr) {
      EXPECT_NE(finding->condition.find("*.js|"), std::string::npos);
    }
    ++(sample.match ? count[sample.rule].first : count[sample.rule].second);
  }
  EXPECT_EQ(count.size(), format_javascript.rules.size());
  for (const auto& [rule, samples]: count) {
    EXPECT_GT(samples.first, 0) << rule;
    EXPECT_GT(samples.second, 0) << rule;
  }
}

TEST(JavaScript, long_lines_are_read_in_pieces) {
  std::string line(300'000, ' ');
  line.replace(200'000, 30, "eval(atob('YWxlcnQoMSk=')) /**/");
  EXPECT_NE(find_rule(scan_bytes("x = 1\n" + line), "behaviour-js-hidden-code"), nullptr);
}

TEST(JavaScript, other_texts_are_none) {
  for (const std::string text:
       {"eval(1)\n", "import os\nos.getcwd()\n", "localStorage and atob( alone\n"}) {
    const Report report = scan_bytes(text);
    EXPECT_NE(report.format, "javascript") << text;
    EXPECT_TRUE(test::is_quiet(report, {"behaviour-js-"})) << show(report);
  }
}

} // namespace
} // namespace hubgate
