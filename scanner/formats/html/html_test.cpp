#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

TEST(Html, a_plain_page_is_clean_and_named) {
  const Report report = scan_bytes("<!DOCTYPE html>\n<html><head><title>a</title></head>"
                                   "<body><p>1 < 2 & so on<br></body></html>\n");
  EXPECT_EQ(report.format, "html");
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_TRUE(report.findings.empty()) << show(report);
}

TEST(Html, script_is_told_and_no_alarm) {
  const Report report =
      scan_bytes("<html><script>if (a < b) document.title = 'x';</script></html>");
  ASSERT_NE(find_rule(report, "html-script"), nullptr) << show(report);
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_NE(find_rule(scan_bytes("<html><body onload=\"go()\">"), "html-script"), nullptr);
  EXPECT_NE(find_rule(scan_bytes("<html><a href=' JavaScript:go()'>"), "html-script"), nullptr);
  EXPECT_EQ(
      find_rule(scan_bytes("<html><script type='application/json'>{}</script>"), "html-script"),
      nullptr);
}

TEST(Html, what_reaches_the_machine_is_an_alarm) {
  for (const std::string_view text:
       {"<html><script>var s = new ActiveXObject( 'WScript.Shell' )</script>",
        "<html><script>eval (atob('YQ=='))</script>", "<html><script language=VBScript>x</script>",
        "<html><HTA:APPLICATION id=a>", "<html><body onclick=\"eval(unescape('%61'))\">",
        "<html><a href='ms-msdt:/id'>"}) {
    const Report report = scan_bytes(text);
    ASSERT_NE(find_rule(report, "html-active-content"), nullptr) << text << show(report);
  }
}

TEST(Html, a_pattern_between_two_pieces_is_seen) {
  std::string text = "<html><script>" + std::string(65536 - 5, ';') + "eval(atob('x'))</script>";
  EXPECT_NE(find_rule(scan_bytes(text), "html-active-content"), nullptr);
}

TEST(Html, other_text_is_not_html) {
  EXPECT_EQ(scan_bytes("Use <html> and <script> tags.").format, "text");
  EXPECT_EQ(scan_bytes("<?xml version='1.0'?><PMML version='4.4'><Header/></PMML>").format, "xml");
}

} // namespace
} // namespace hubgate
