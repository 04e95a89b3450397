#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/rdata/corpus";

std::string be(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift);
  return out;
}
std::string text(const std::string& value) {
  return be(0x40009) + be(static_cast<std::uint32_t>(value.size())) + value;
}
std::string symbol(const std::string& name) {
  return be(1) + text(name);
}
std::string rds(const std::string& root) {
  return "X\n" + be(2) + be(0x40300) + be(0x20300) + root;
}
const std::string k_nil = be(254);
const std::string k_system = be(6) + symbol("system") + be(2) + be(16) + be(1) + text("id") + k_nil;

TEST(Rdata, what_r_writes_is_clean_and_read_to_its_end) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(test::is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "rdata") << name;
    EXPECT_EQ(find_rule(report, "trailing-data"), nullptr) << name;
  }
}

TEST(Rdata, is_never_clean_when_cut) {
  for (const char* name: {"good_clos", "good_text", "good_rda", "good_seq"}) {
    const std::string whole = test::corpus(k_corpus, name).at(name);
    for (std::size_t n = 12; n + 1 < whole.size(); n += 1 + n / 64)
      EXPECT_FALSE(test::is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << name << n;
  }
}

TEST(Rdata, every_rule_fires) {
  const std::string promise = be(5) + be(252) + k_system;
  EXPECT_NE(find_rule(scan_bytes(rds(promise)), "r-promise"), nullptr);
  EXPECT_EQ(find_rule(scan_bytes(rds(promise)), "r-promise")->severity, Severity::malicious);
  const std::string function = be(3 | 0x400) + be(253) + k_nil + k_system;
  EXPECT_NE(find_rule(scan_bytes(rds(function)), "r-dangerous-call"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(rds(function)), "r-closure"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(rds(be(23))), "r-finalizer"), nullptr);
  const std::string workspace = "RDX2\n" + rds(be(0x402) + symbol(".First") + function + k_nil);
  EXPECT_NE(find_rule(scan_bytes(workspace), "r-autorun"), nullptr) << show(scan_bytes(workspace));
  const std::string active = be(4) + be(0) + be(253) + be(0x402 | (1U << 27)) + symbol("x") +
                             function + k_nil + k_nil + k_nil;
  EXPECT_NE(find_rule(scan_bytes(rds(active)), "r-active-binding"), nullptr)
      << show(scan_bytes(rds(active)));
}

TEST(Rdata, a_symbol_is_found_through_its_reference) {
  const std::string list =
      be(19) + be(2) + symbol("system") + be(5) + be(252) + be(6) + be(255 | (1U << 8)) + k_nil;
  EXPECT_NE(find_rule(scan_bytes(rds(list)), "r-promise"), nullptr) << show(scan_bytes(rds(list)));
}

TEST(Rdata, bad_numbers_and_deep_nesting_are_gaps) {
  std::string deep;
  for (int i = 0; i < 5000; ++i)
    deep += be(19) + be(1);
  EXPECT_TRUE(test::has_gap(scan_bytes(rds(deep)), Reason::budget));
  EXPECT_TRUE(test::has_gap(scan_bytes(rds(be(13) + be(0x7fffffff))), Reason::truncated));
  EXPECT_TRUE(test::has_gap(scan_bytes(rds(be(13) + be(0xffffffff) + be(0xffff) + be(1))),
                            Reason::truncated));
  EXPECT_TRUE(test::has_gap(scan_bytes(rds(be(255 | (9U << 8)))), Reason::malformed));
  EXPECT_TRUE(test::has_gap(scan_bytes(rds(be(77))), Reason::malformed));
}

} // namespace
} // namespace hubgate
