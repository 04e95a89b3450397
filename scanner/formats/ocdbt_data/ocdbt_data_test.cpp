#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/ocdbt_data/corpus";

TEST(OcdbtData, HonestFilesAreClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "zstd") << name;
  }
}

TEST(OcdbtData, ACutIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 8; n < bytes.size(); n += n + 700 < bytes.size() ? 97 : 1)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
}

// TensorStore writes large files in whole blocks: zeros to the next 4096th byte, and only these.
TEST(OcdbtData, TheLastBlockIsFilledWithZeros) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    std::string padded = bytes;
    padded.resize((bytes.size() + 4095) / 4096 * 4096);
    EXPECT_TRUE(is_clean(scan_bytes(padded))) << name << " " << show(scan_bytes(padded));
    padded.back() = '\x7';
    EXPECT_FALSE(is_clean(scan_bytes(padded))) << name;
    EXPECT_FALSE(is_clean(scan_bytes(bytes + std::string(8192, '\0')))) << name;
  }
}

// What no index or node vouches for stays opaque: frames alone, a wrong index, bytes behind it.
TEST(OcdbtData, WhatIsNotToldApartIsOpaque) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    EXPECT_TRUE(test::has_gap(scan_bytes(bytes + std::string(200, '\x7')), Reason::opaque)) << name;
    std::string broken = bytes;
    broken.back() = static_cast<char>(broken.back() ^ 1);
    EXPECT_TRUE(test::has_gap(scan_bytes(broken), Reason::opaque)) << name;
  }
  const auto other = test::corpus(k_corpus, "other_");
  EXPECT_TRUE(test::has_gap(scan_bytes(other.at("other_shard")), Reason::opaque));
}

} // namespace
} // namespace hubgate
