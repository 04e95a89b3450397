#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/keras/corpus";

TEST(Keras, honest_models_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "keras") << name;
  }
}

TEST(Keras, every_rule_fires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_member", "keras-foreign-member"},
                                          {"bad_twice", "keras-duplicate-member"},
                                          {"bad_npz", "keras-weights-npz"},
                                          {"bad_lambda", "keras-lambda"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
    EXPECT_EQ(report.format, "keras") << name;
  }
}

TEST(Keras, is_never_clean_when_cut) {
  const std::string whole = test::corpus(k_corpus, "good_sequential").at("good_sequential");
  for (std::size_t n = 64; n < whole.size(); n += 97)
    EXPECT_FALSE(is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << n;
}

} // namespace
} // namespace hubgate
