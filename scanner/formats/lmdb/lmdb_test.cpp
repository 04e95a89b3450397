#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/lmdb/corpus";

TEST(Lmdb, plain_values_are_clean_and_pickles_are_scanned) {
  const Report good = scan_bytes(test::corpus(k_corpus, "good_values").begin()->second);
  EXPECT_TRUE(is_clean(good)) << show(good);
  EXPECT_EQ(good.format, "lmdb");
  const Report bad = scan_bytes(test::corpus(k_corpus, "bad_pickle").begin()->second);
  EXPECT_NE(find_rule(bad, "pickle-dangerous-call"), nullptr) << show(bad);
}

TEST(Lmdb, is_never_clean_when_cut) {
  const std::string bytes = test::corpus(k_corpus, "good_values").begin()->second;
  for (std::size_t n = 200; n < bytes.size(); n += 111)
    EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << n;
}

TEST(Lmdb, nodes_outside_of_their_page_are_told) {
  std::string bytes = test::corpus(k_corpus, "good_values").begin()->second;
  bytes[2 * 4096 + 17] = '\x0f'; // where the first node lies
  bytes[2 * 4096 + 16] = '\xff';
  EXPECT_NE(find_rule(scan_bytes(bytes), "lmdb-structure"), nullptr);
}

} // namespace
} // namespace hubgate
