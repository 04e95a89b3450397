#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/fasttext/corpus";

TEST(FastText, HonestModelsAreClean) {
  const auto models = test::corpus(k_corpus, "good_");
  EXPECT_GE(models.size(), 5U);
  for (const auto& [name, bytes]: models) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "fasttext") << name;
  }
}

TEST(FastText, WhatTheLoaderWouldTrustIsToldWhenItCanNotBeTrue) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "bad_"))
    EXPECT_NE(find_rule(scan_bytes(bytes), "fasttext-structure"), nullptr)
        << name << show(scan_bytes(bytes));
}

TEST(FastText, ACutModelIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 8; n < bytes.size(); n += n < 600 || n + 600 > bytes.size() ? 1 : 101) {
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
      test::ArrivingSource arriving(as_bytes(bytes).first(n));
      EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << name << n;
    }
}

TEST(FastText, NewerVersionsAreNotGuessed) {
  std::string bytes = test::corpus(k_corpus, "good_classifier").at("good_classifier");
  bytes[4] = 13;
  EXPECT_TRUE(test::has_gap(scan_bytes(bytes), Reason::unsupported)) << show(scan_bytes(bytes));
}

TEST(FastText, BytesBehindTheModelAreAnObjectOfTheirOwn) {
  const std::string bytes = test::corpus(k_corpus, "good_classifier").at("good_classifier");
  const Report report = scan_bytes(bytes + "\x80\x04"
                                           "cos\nsystem\n\x8c\x02id\x85R.");
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
}

} // namespace
} // namespace hubgate
