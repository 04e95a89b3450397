#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/mobile_graph/corpus";

TEST(MobileGraph, honest_files_are_clean) {
  const auto files = test::corpus(k_corpus, "good_");
  ASSERT_FALSE(files.empty());
  for (const auto& [name, bytes]: files) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "mobile_graph") << name;
  }
}

TEST(MobileGraph, every_rule_has_a_file_that_shows_it) {
  std::string seen;
  for (const auto& [name, bytes]: test::corpus(k_corpus, "bad_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_FALSE(is_clean(report)) << name << " " << show(report);
    for (const auto& finding: report.findings)
      seen += finding.rule + " ";
  }
  for (const char* rule: {"mobile-graph-count", "mobile-graph-plugin"})
    EXPECT_NE(seen.find(rule), std::string::npos) << rule << " not in " << seen;
}

TEST(MobileGraph, no_cut_and_no_byte_makes_it_crash) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "")) {
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::string broken = bytes;
      broken[n] = static_cast<char>(broken[n] ^ 0x5a);
      EXPECT_FALSE(test::has_gap(scan_bytes(broken), Reason::crash)) << name << n;
      EXPECT_FALSE(test::has_gap(scan_bytes(bytes.substr(0, n)), Reason::crash)) << name << n;
    }
  }
}

} // namespace
} // namespace hubgate
