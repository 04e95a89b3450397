#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/word2vec/corpus";

TEST(Word2Vec, HonestVectorsAreClean) {
  const auto files = test::corpus(k_corpus, "good_");
  EXPECT_GE(files.size(), 3U);
  for (const auto& [name, bytes]: files) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "word2vec") << name;
  }
}

// A line and a word are text as yet. The last byte of a file with a line feed at its end is not
// needed.
TEST(Word2Vec, ACutFileIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 64; n + 1 < bytes.size(); ++n) {
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
      test::ArrivingSource arriving(as_bytes(bytes).first(n));
      EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << name << n;
    }
}

TEST(Word2Vec, TheSameVectorsAsTextAreText) {
  EXPECT_EQ(scan_bytes(test::corpus(k_corpus, "text").at("text")).format, "text");
}

TEST(Word2Vec, CountsThatPromiseMoreAreTruncated) {
  const Report report = scan_bytes(test::corpus(k_corpus, "cut").at("cut"));
  EXPECT_TRUE(test::has_gap(report, Reason::truncated)) << show(report);
}

} // namespace
} // namespace hubgate
