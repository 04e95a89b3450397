#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/arrow/corpus";

TEST(Arrow, files_streams_and_feather_are_clean) {
  const auto files = test::corpus(k_corpus, "good_");
  ASSERT_GE(files.size(), 6U);
  for (const auto& [name, bytes]: files) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "arrow") << name;
  }
}

TEST(Arrow, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    std::size_t clean = 0;
    for (std::size_t n = 8; n < bytes.size(); n += 1 + n / 200)
      clean += is_clean(scan_bytes(std::string_view(bytes).substr(0, n))) ? 1 : 0;
    // A stream needs no end mark: cut between two messages it is whole.
    EXPECT_LE(clean, name.find("stream") != std::string::npos ? 3U : 0U) << name;
  }
}

TEST(Arrow, a_pickle_in_a_column_is_scanned) {
  const std::string bytes = test::corpus(k_corpus, "bad_pickle").begin()->second;
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
}

TEST(Arrow, a_magic_alone_is_no_arrow_file) {
  using namespace std::string_literals;
  for (const std::string& bytes:
       {"ARROW1\0\0"s + std::string(200, '\x07'), "FEA1\0\0\0\0"s + std::string(200, '\x07'),
        "\xff\xff\xff\xff\x10\0\0\0\x10\0\0\0"s + std::string(200, '\x07')})
    EXPECT_FALSE(scan_bytes(bytes).complete());
}

} // namespace
} // namespace hubgate
