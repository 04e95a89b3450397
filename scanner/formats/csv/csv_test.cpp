#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string with(const std::string& cell) {
  return "id,text\n1,one\n2,\"" + cell + "\"\n";
}

TEST(Csv, formulas_that_reach_out_are_told_under_the_names_of_tables) {
  for (const char* cell: {"=cmd|'/C calc'!A0", "+cmd|' /C calc'!A0", "-2+3+cmd|'/C calc'!A0",
                          "@SUM(1+1)*cmd|' /C calc'!A0", "=powershell.exe|'-c x'!A1",
                          "=DDE(\"\"cmd\"\";\"\"/C\"\";\"\"x\"\")"}) {
    const Report report = scan_bytes(with(cell));
    const Finding* finding = find_rule(report, "csv-formula-command");
    ASSERT_NE(finding, nullptr) << cell << " " << show(report);
    EXPECT_NE(finding->condition.find("*.csv"), std::string::npos);
  }
  for (const char* cell:
       {"=HYPERLINK(\"\"http://x\"\")", "=1+WEBSERVICE(A1)", "=IF(A1, IMPORTDATA(B1), 2)"})
    EXPECT_NE(find_rule(scan_bytes(with(cell)), "csv-formula-network"), nullptr) << cell;
}

TEST(Csv, numbers_words_and_sums_are_quiet) {
  for (const char* cell:
       {"-5", "+1.5e3", "@mention", "=", "- a | b", "=SUM(A1:A4)", "=A1+B1", "--flag | other",
        "=-image-", "-call(x)", "+49 (30) 1234", "@image (left)", "=> see hyperlink", "-|-|-"}) {
    const Report report = scan_bytes(with(cell));
    EXPECT_TRUE(report.findings.empty()) << cell << " " << show(report);
    EXPECT_EQ(report.format, "csv") << cell;
  }
}

TEST(Csv, path_columns_that_lead_elsewhere) {
  for (const char* cell: {"../../../../etc/passwd", "/root/.ssh/id_rsa", "\"../../../x, y.png\"",
                          "http://169.254.169.254/latest/meta-data/iam/"}) {
    const Report report =
        scan_bytes("label,img_path\n1,a.png\n2," + std::string(cell) + "\n3,b.png\n");
    const Finding* found = find_rule(report, "dataset-annotation-path");
    ASSERT_NE(found, nullptr) << cell << show(report);
    EXPECT_EQ(found->condition.substr(0, 5), "*.csv");
  }
  for (const char* text: {"label,img_path\n1,a.png\n2,../img/b.png\n3,https://example.test/c.png\n",
                          "label,text\n1,a\n2,../../../../etc/passwd\n3,b\n"})
    EXPECT_EQ(find_rule(scan_bytes(text), "dataset-annotation-path"), nullptr) << text;
  EXPECT_NE(
      find_rule(scan_bytes("path\tn\na\t1\nb\t2\n../../../../x\t3"), "dataset-annotation-path"),
      nullptr);
}

TEST(Csv, is_no_name_for_other_text) {
  EXPECT_EQ(scan_bytes("hello, world\nthis is a text\n").format, "text");
  EXPECT_EQ(scan_bytes("a;b\n\x01\x02\x03").format, "");
}

} // namespace
} // namespace hubgate
