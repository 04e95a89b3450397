#include "scanner/git/ref_lines.hpp"

#include <gmock/gmock.h>

namespace hubgate::git {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string k_zero(40, '0');
const std::string k_one(40, '1');
const std::string k_two = "0123456789abcdef0123456789abcdef01234567";

TEST(RefLines, ReadsCreateChangeAndDelete) {
  const auto updates =
      parse_ref_lines(k_zero + " " + k_one + " refs/heads/main\n" + k_one + " " + k_two +
                      " refs/tags/v1\n" + k_two + " " + k_zero + " refs/notes/x\n");
  ASSERT_TRUE(updates);
  ASSERT_EQ(updates->size(), 3u);
  EXPECT_TRUE((*updates)[0].before.is_zero());
  EXPECT_EQ((*updates)[1].after.hex(), k_two);
  EXPECT_EQ((*updates)[1].name, "refs/tags/v1");
  EXPECT_TRUE((*updates)[2].deletes());
}

TEST(RefLines, ReadsTwoThousand) {
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += k_zero + " " + k_one + " refs/heads/b" + std::to_string(i) + "\n";
  const auto updates = parse_ref_lines(text);
  ASSERT_TRUE(updates);
  EXPECT_EQ(updates->back().name, "refs/heads/b1999");
}

TEST(RefLines, RefusesWhateverIsNotALine) {
  const std::string good = k_zero + " " + k_one + " refs/heads/main\n";
  for (const std::string& bad:
       {std::string(), std::string("\n"), good.substr(0, good.size() - 1),
        good + k_zero + " " + k_one + "\n", k_zero + "  " + k_one + " refs/heads/main\n",
        "0" + good, k_zero.substr(1) + " " + k_one + " refs/heads/main\n",
        k_zero + " " + std::string(40, 'A') + " refs/heads/main\n",
        k_zero + " " + std::string(40, 'g') + " refs/heads/main\n",
        k_zero + " " + k_zero + " refs/heads/main\n", k_zero + "\t" + k_one + "\trefs/heads/main\n",
        k_zero + " " + k_one + " \n", k_zero + " " + k_one + " HEAD\n",
        k_zero + " " + k_one + " refs/heads/a b\n", k_zero + " " + k_one + " refs/heads/a\r\n",
        good + "\n"})
    EXPECT_FALSE(parse_ref_lines(bad)) << bad;
}

TEST(RefLines, NamesTheLineAndTheReason) {
  const std::string good = k_zero + " " + k_one + " refs/heads/main\n";
  const auto bad = parse_ref_lines(good + k_zero + " " + k_one + " refs/heads/\x1b[31m\n");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("line 2"));
  EXPECT_THAT(bad.error().message, HasSubstr("\\x1b"));
  const auto sha256 =
      parse_ref_lines(std::string(64, '0') + " " + std::string(64, '1') + " refs/heads/main\n");
  ASSERT_TRUE(sha256);
  EXPECT_EQ(sha256->front().after.hex(), std::string(64, '1'));
  EXPECT_TRUE(sha256->front().before.is_zero());
  for (const std::string& mixed: {std::string(64, '0') + " " + k_one + " refs/heads/main\n",
                                  k_zero + " " + k_one + " refs/heads/a\n" + std::string(64, '0') +
                                      " " + std::string(64, '1') + " refs/heads/b\n"}) {
    const auto refused = parse_ref_lines(mixed);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("another length"));
  }
}

TEST(RefLines, KnowsWhatGitForbidsInNames) {
  for (const char* good: {"refs/heads/main", "refs/for/main", "refs/pr/1", "refs/notes/commits",
                          "refs/heads/\xc3\xa9t\xc3\xa9", "refs/heads/a@b", "refs/stash"})
    EXPECT_TRUE(valid_ref_name(good)) << good;
  for (const char* bad: {"refs/",
                         "refs",
                         "heads/main",
                         "refs/heads/a..b",
                         "refs/heads/.a",
                         "refs/heads/a.lock",
                         "refs/heads/a.lock/b",
                         "refs/heads//a",
                         "refs/heads/a/",
                         "refs/heads/a.",
                         "refs/heads/a@{1}",
                         "refs/heads/a~1",
                         "refs/heads/a^",
                         "refs/heads/a:b",
                         "refs/heads/a?",
                         "refs/heads/*",
                         "refs/heads/[a",
                         "refs/heads/a\\b",
                         "refs/heads/a\x7f",
                         "/refs/heads/a"})
    EXPECT_FALSE(valid_ref_name(bad)) << bad;
}

TEST(Alternates, ReadsPlainAndQuotedEntries) {
  const auto list = parse_alternates("/a/objects:\"/with:colon\\\"and\\303\\251/objects\"::/b:#c");
  ASSERT_TRUE(list);
  EXPECT_THAT(*list, ElementsAre("/a/objects", "/with:colon\"and\xc3\xa9/objects", "/b"));
  EXPECT_TRUE(parse_alternates("")->empty());
}

TEST(Alternates, RefusesBrokenQuotes) {
  for (const char* bad: {"\"/a", "\"/a\\", "\"/a\\x41\"", "\"/a\"b", "\"\\9\"", "\"\\40\""})
    EXPECT_FALSE(parse_alternates(bad)) << bad;
}

TEST(Oid, TakesFortyLowerCaseDigits) {
  EXPECT_EQ(Oid::from_hex(k_two)->hex(), k_two);
  EXPECT_FALSE(Oid::from_hex(k_two.substr(1)));
  EXPECT_FALSE(Oid::from_hex("0123456789ABCDEF0123456789abcdef01234567"));
}

} // namespace
} // namespace hubgate::git
