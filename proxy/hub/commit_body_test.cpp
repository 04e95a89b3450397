#include "proxy/hub/commit_body.hpp"

#include <gmock/gmock.h>

namespace hubgate::proxy {
namespace {

using testing::HasSubstr;

const std::string k_header = R"({"key":"header","value":{"summary":"x","description":""}})"
                             "\n";
const std::string k_oid(64, 'a');

std::string file(const std::string& path, const std::string& content) {
  return R"({"key":"file","value":{"path":")" + path + R"(","encoding":"base64","content":")" +
         content + "\"}}\n";
}

std::string linked(const std::string& oid, const std::string& size = "12") {
  return R"({"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":")" + oid +
         R"(","size":)" + size + "}}\n";
}

std::string error_of(const std::string& text) {
  const auto out = read_commit_body(text);
  return out ? "" : out.error().message;
}

TEST(CommitBody, ReadsFilesLinksAndDeletions) {
  const auto commit = read_commit_body(k_header + file("a/b.txt", "aGVsbG8=") + linked(k_oid) +
                                       R"({"key":"deletedFile","value":{"path":"old"}})");
  ASSERT_TRUE(commit) << commit.error().message;
  ASSERT_EQ(commit->files.size(), 1u);
  EXPECT_EQ(commit->files[0].path, "a/b.txt");
  EXPECT_EQ(commit->files[0].bytes, "hello");
  ASSERT_EQ(commit->linked.size(), 1u);
  EXPECT_EQ(hex(commit->linked[0].oid), k_oid);
  EXPECT_EQ(commit->linked[0].size, 12u);
  EXPECT_EQ(std::count(commit->text.begin(), commit->text.end(), '\n'), 4);
}

TEST(CommitBody, KnowsWhatIsRemovedAndCopied) {
  const auto commit =
      read_commit_body(R"({"key":"header","value":{"summary":"x","parentCommit":"abc"}})"
                       "\n"
                       R"({"key":"deletedFile","value":{"path":"a"}})"
                       "\n"
                       R"({"key":"deletedFolder","value":{"path":"b/"}})"
                       "\n"
                       R"({"key":"deletedEntry","value":{"path":"c"}})"
                       "\n"
                       R"({"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":")" +
                       k_oid + "\"}}\n");
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commit->parent, "abc");
  EXPECT_THAT(commit->deleted, testing::ElementsAre("a", "c"));
  EXPECT_THAT(commit->deleted_folders, testing::ElementsAre("b", "c"));
  ASSERT_EQ(commit->linked.size(), 1u);
  EXPECT_EQ(commit->linked[0].size, std::nullopt);
}

TEST(CommitBody, ATextCanBeSentPlainly) {
  const auto commit = read_commit_body(
      k_header + R"({"key":"file","value":{"path":"a","encoding":"utf-8","content":"h\u00e9"}})");
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->files[0].bytes, "h\xc3\xa9");
}

TEST(CommitBody, WhatIsSentOnHasOneReading) {
  const auto commit = read_commit_body(
      k_header +
      R"({"key":"file","value":{"path":"a","path":"b","encoding":"base64","content":"eA=="}})");
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->files[0].path, "b");
  EXPECT_THAT(commit->text, testing::Not(HasSubstr(R"("a")")));
}

TEST(CommitBody, WhatIsNotUnderstoodIsRefused) {
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of(file("a", "eA==")), HasSubstr("line 1 of the commit: the header"));
  EXPECT_THAT(error_of(k_header + k_header), HasSubstr("line 2 of the commit: the header"));
  EXPECT_THAT(error_of(k_header + "{"), HasSubstr("no JSON"));
  EXPECT_THAT(error_of(k_header + R"({"key":"file"})"), HasSubstr("are expected"));
  EXPECT_THAT(error_of(k_header + R"({"key":"copyFile","value":{"path":"x"}})"),
              HasSubstr("does not know"));
  EXPECT_THAT(error_of(k_header + R"({"key":"deletedFile","value":{}})"), HasSubstr("path"));
  EXPECT_THAT(error_of(k_header + file("../a", "eA==")), HasSubstr("path"));
  EXPECT_THAT(error_of(k_header + file("a", "eA=")), HasSubstr("base64"));
  EXPECT_THAT(
      error_of(k_header + R"({"key":"file","value":{"path":"a","encoding":"gzip","content":""}})"),
      HasSubstr("encoding"));
  EXPECT_THAT(error_of(k_header + linked(k_oid.substr(1))), HasSubstr("oid"));
  EXPECT_THAT(error_of(k_header + linked(k_oid, "-1")), HasSubstr("size"));
  EXPECT_THAT(error_of(k_header + linked(k_oid, "\"1\"")), HasSubstr("size"));
}

TEST(CommitBody, PathsStayInTheRepository) {
  for (const char* good: {"a", "a/b.txt", ".gitattributes", "a b/\xc3\xa9", ".github/x", "a..b"})
    EXPECT_TRUE(is_repository_path(good)) << good;
  for (const char* bad: {"", "/a", "a/", "a//b", "..", "a/../b", "./a", ".git/hooks/x", "a/.GIT",
                         "a\\b", "a\nb", "a\x7f"})
    EXPECT_FALSE(is_repository_path(bad)) << bad;
  EXPECT_FALSE(is_repository_path(std::string(1025, 'a')));
}

TEST(CommitBody, Base64HasOneSpelling) {
  EXPECT_EQ(from_base64(""), "");
  EXPECT_EQ(from_base64("eA=="), "x");
  EXPECT_EQ(from_base64("eHk="), "xy");
  EXPECT_EQ(from_base64("eHl6"), "xyz");
  EXPECT_EQ(from_base64("+/+/"), "\xfb\xff\xbf");
  for (const char* bad:
       {"eA", "eA=", "eB==", "eHl=", "e A=", "====", "=", "eA==eA==", "-_-_", "eA==\n", "eHl6\n"})
    EXPECT_EQ(from_base64(bad), std::nullopt) << bad;
}

} // namespace
} // namespace hubgate::proxy
