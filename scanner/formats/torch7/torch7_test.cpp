#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/torch7/corpus";

TEST(Torch7, honest_models_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(test::is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "torch7");
  }
}

TEST(Torch7, functions_are_malicious_in_both_encodings) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "bad_"))
    EXPECT_NE(find_rule(scan_bytes(bytes), "torch7-function"), nullptr)
        << name << show(scan_bytes(bytes));
  EXPECT_NE(find_rule(scan_bytes(test::corpus(k_corpus, "class").at("class")), "torch7-class"),
            nullptr);
}

TEST(Torch7, a_cut_model_is_never_clean) {
  const std::string whole = test::corpus(k_corpus, "good_linear").at("good_linear");
  for (std::size_t n = 14; n < whole.size(); ++n)
    EXPECT_FALSE(test::is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << n;
}

} // namespace
} // namespace hubgate
