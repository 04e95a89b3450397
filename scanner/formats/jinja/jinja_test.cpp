#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

TEST(JinjaFile, findings_hold_under_names_of_templates) {
  const Report report = scan_bytes("{% for m in messages %}{{ m.__class__ }}{% endfor %}");
  const Finding* finding = find_rule(report, "jinja-escape");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_NE(finding->condition.find("*.jinja"), std::string::npos);
  EXPECT_EQ(report.format, "jinja");
}

TEST(JinjaFile, pages_may_extend_others_and_name_classes) {
  const Report report = scan_bytes(
      "{% extends 'base' %}{% block x %}{{ f.__class__.__name__ }}{{ self.x() }}{% endblock %}");
  EXPECT_TRUE(report.findings.empty()) << show(report);
  EXPECT_TRUE(report.complete());
  ASSERT_EQ(report.references.size(), 1U);
  EXPECT_EQ(report.references[0].target, "base");
  EXPECT_NE(
      find_rule(scan_bytes("{% if x %}{{ f.__init__.__globals__ }}{% endif %}"), "jinja-escape"),
      nullptr);
}

TEST(JinjaFile, braces_in_other_texts_are_no_template) {
  for (const char* text: {"struct x { int {{ a }; };", "\\frac{{a}{%\n}}", "{\"a\": {\"b\": {}}}",
                          "printf(\"{%d}\", {{1, 2}});"}) {
    const Report report = scan_bytes(text);
    EXPECT_NE(report.format, "jinja") << text;
    EXPECT_TRUE(test::is_clean(report)) << show(report);
  }
}

TEST(JinjaFile, what_is_broken_or_too_long_is_a_gap) {
  EXPECT_TRUE(test::has_gap(scan_bytes("{% for m in messages %}{{ m"), Reason::malformed));
  EXPECT_TRUE(
      test::has_gap(scan_bytes("{% if messages %}" + std::string(2 << 20, 'a')), Reason::budget));
}

} // namespace
} // namespace hubgate
