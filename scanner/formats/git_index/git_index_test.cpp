#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/git_index/corpus";

TEST(GitIndex, WhatGitWritesIsClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "git_index") << name;
  }
}

// Checksums are not compared. The tables of packs are numbers only: a cut between two of them
// leaves a shorter table; an index cut 20 bytes behind its entries has these for a checksum.
TEST(GitIndex, ACutIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    if (name == "good_reverse") continue;
    for (std::size_t n = 8; n < bytes.size(); ++n) {
      if ((name == "good_index" && n == 192) || (name == "good_index4" && n == 186)) continue;
      if (name == "good_pack_index" && (bytes.size() - n) % 8 == 0) continue;
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
    }
  }
}

TEST(GitIndex, PathsThatLeadOut) {
  std::string bytes = test::corpus(k_corpus, "good_index").at("good_index");
  bytes.replace(bytes.find("sub/config.json"), 4, "../x");
  EXPECT_NE(test::find_rule(scan_bytes(bytes), "git-tree-name"), nullptr);
}

} // namespace
} // namespace hubgate
