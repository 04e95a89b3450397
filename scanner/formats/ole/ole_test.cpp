#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string file(const std::string& prefix) {
  return test::corpus("scanner/formats/ole/corpus", prefix).begin()->second;
}

TEST(Ole, a_workbook_is_clean) {
  const Report report = scan_bytes(file("rtf_018_near"));
  EXPECT_EQ(report.format, "ole");
  EXPECT_TRUE(is_clean(report)) << show(report);
}

TEST(Ole, macros) {
  EXPECT_NE(find_rule(scan_bytes(file("rtf_018_macro")), "ole-macro"), nullptr);
}

TEST(Ole, streams_are_scanned) {
  std::string bytes = file("rtf_018_macro");
  const std::string pickle = "cos\nsystem\n(S'echo x'\ntR.";
  const std::size_t at = bytes.find("\xcc\x61");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, pickle.size(), pickle);
  EXPECT_NE(find_rule(scan_bytes(bytes), "pickle-dangerous-call"), nullptr)
      << show(scan_bytes(bytes));
}

TEST(Ole, circles_end) {
  std::string bytes = file("rtf_018_near");
  // Entry 1 of the FAT, which is the directory's: it follows itself.
  bytes.replace(512 + 4, 4, std::string("\x01\0\0\0", 4));
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "ole-structure"), nullptr) << show(report);
  EXPECT_FALSE(report.complete());
}

TEST(Ole, is_never_clean_when_its_tables_are_cut) {
  const std::string whole = file("rtf_018_near");
  for (std::size_t n = 8; n < 1500; n += 50)
    EXPECT_FALSE(is_clean(scan_bytes(whole.substr(0, n)))) << n;
}

} // namespace
} // namespace hubgate
