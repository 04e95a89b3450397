#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/tflite/corpus";

TEST(Tflite, honest_models_are_clean) {
  const auto files = test::corpus(k_corpus, "good_");
  ASSERT_FALSE(files.empty());
  for (const auto& [name, bytes]: files) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "tflite") << name;
  }
}

TEST(Tflite, every_rule_has_a_file_that_shows_it) {
  std::string seen;
  for (const auto& [name, bytes]: test::corpus(k_corpus, "bad_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_FALSE(is_clean(report)) << name << " " << show(report);
    for (const auto& finding: report.findings)
      seen += finding.rule + " ";
  }
  for (const char* rule: {"tflite-custom-op", "tflite-flex-op", "tflite-bounds", "tflite-index",
                          "tflite-extent", "tflite-trigger", "tensorflow-file-write"})
    EXPECT_NE(seen.find(rule), std::string::npos) << rule << " not in " << seen;
}

TEST(Tflite, a_cut_is_never_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_plain")) {
    for (std::size_t n = 8; n < bytes.size() - 3; ++n) {
      // Padding and the terminator of the last string may be missing.
      const bool padding = std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(n), bytes.end(),
                                       [](char c) { return c == 0; });
      if (padding) continue;
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
      test::ArrivingSource arriving(as_bytes(bytes).first(n));
      EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << name << n;
    }
  }
}

TEST(Tflite, no_single_byte_makes_it_crash) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_plain")) {
    for (std::size_t at = 8; at < bytes.size(); ++at) {
      for (const char value: {'\x00', '\x7f', '\xff'}) {
        std::string broken = bytes;
        broken[at] = value;
        const Report report = scan_bytes(broken);
        EXPECT_FALSE(test::has_gap(report, Reason::crash)) << name << at;
      }
    }
  }
}

} // namespace
} // namespace hubgate
