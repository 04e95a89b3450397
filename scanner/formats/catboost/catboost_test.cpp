#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

// Written by catboost itself.
std::string good() {
  return test::corpus("scanner/formats/catboost/corpus", "good_model").begin()->second;
}

TEST(Catboost, what_catboost_writes_is_clean) {
  const Report report = scan_bytes(good());
  EXPECT_EQ(report.format, "catboost");
  EXPECT_TRUE(report.complete()) << show(report);
  // Parameters are JSON, which means something under the names of configurations only.
  for (const Finding& finding: report.findings)
    EXPECT_FALSE(finding.condition.empty() && finding.severity != Severity::informational)
        << show(report);
}

TEST(Catboost, sizes_and_offsets) {
  std::string bytes = good();
  bytes.replace(4, 4, "\xff\xff\xff\xf0");
  EXPECT_NE(find_rule(scan_bytes(bytes), "catboost-bounds"), nullptr);
  bytes = good();
  bytes.replace(8, 4, "\xff\xff\xff\x7f");
  EXPECT_NE(find_rule(scan_bytes(bytes), "catboost-bounds"), nullptr);
  const std::string whole = good();
  for (std::size_t n = 8; n < whole.size(); n += 7)
    EXPECT_FALSE(is_clean(scan_bytes(whole.substr(0, n)))) << n;
  EXPECT_FALSE(is_clean(scan_bytes(whole + std::string(100, '\xfe'))));
}

TEST(Catboost, texts_are_scanned) {
  std::string bytes = good();
  const std::size_t at = bytes.find("{\"");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 22, "os.system('echo hello'");
  EXPECT_NE(find_rule(scan_bytes(bytes), "embedded-script"), nullptr) << show(scan_bytes(bytes));
}

} // namespace
} // namespace hubgate
