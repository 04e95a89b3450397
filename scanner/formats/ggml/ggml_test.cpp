#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/ggml/corpus";

TEST(Ggml, old_models_are_told_and_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(test::is_clean(report)) << name << show(report);
    EXPECT_NE(find_rule(report, "ggml-legacy"), nullptr) << name;
  }
}

TEST(Ggml, is_never_clean_when_cut) {
  const std::string whole = test::corpus(k_corpus, "good_ggjt").at("good_ggjt");
  for (std::size_t n = 33; n < whole.size(); ++n)
    EXPECT_FALSE(test::is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << n;
}

TEST(Ggml, counts_that_lead_out_are_told) {
  std::string bytes = test::corpus(k_corpus, "good_ggjt").at("good_ggjt");
  bytes[11] = '\x7f';
  EXPECT_NE(find_rule(scan_bytes(bytes), "ggml-structure"), nullptr) << show(scan_bytes(bytes));
}

} // namespace
} // namespace hubgate
