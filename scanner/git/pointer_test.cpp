#include "scanner/git/pointer.hpp"

#include <gmock/gmock.h>

namespace hubgate::git {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string k_oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
const std::string k_version = "version https://git-lfs.github.com/spec/v1\n";
const std::string k_canonical = k_version + "oid sha256:" + k_oid + "\nsize 12345\n";

std::optional<Pointer> read(const std::string& text) {
  return read_pointer(as_bytes(text), text.size());
}

TEST(Pointer, ReadsTheCanonicalForm) {
  const auto pointer = read(k_canonical);
  ASSERT_TRUE(pointer);
  EXPECT_EQ(pointer->oid, k_oid);
  EXPECT_EQ(pointer->size, 12345u);
  EXPECT_TRUE(pointer->read_by_git_lfs);
  EXPECT_THAT(pointer->problems, IsEmpty());
}

TEST(Pointer, IsNotProseNorAnythingElse) {
  for (const std::string& text:
       {std::string(), std::string("hello\n"), "see git-lfs:\n" + k_canonical,
        k_version + "size 3\n", k_version + "oid sha256:" + k_oid.substr(1) + "\nsize 3\n",
        k_version + "oid md5:" + k_oid + "\nsize 3\n", std::string("\0\0\0git-lfs", 10)})
    EXPECT_FALSE(read(text)) << text;
}

TEST(Pointer, FollowsWhatGitLfsFollowsAndSaysWhatIsOdd) {
  std::string crlf;
  for (const char c: k_canonical)
    crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  std::string upper = k_canonical;
  upper.replace(upper.find(k_oid), 4, "4D7A");
  const std::vector<std::pair<std::string, std::string>> cases{
      {crlf, "carriage returns"},
      {"\n\n" + k_canonical, "not version, oid, size"},
      {k_canonical.substr(0, k_canonical.size() - 1), "no line feed"},
      {k_canonical + "\n", "not version, oid, size"},
      {upper, "lower case"},
      {"version https://hawser.github.com/spec/v1\n" + k_canonical.substr(k_version.size()),
       "not the current one"},
      {k_version + "ext-0-foo sha256:" + k_oid + "\n" + k_canonical.substr(k_version.size()),
       "extensions"},
      {k_canonical + std::string(1100 - k_canonical.size(), '\n'), "1024 bytes"},
      {k_version + "oid sha256:" + k_oid + "\nsize 0012345\n", "plain number"}};
  for (const auto& [text, problem]: cases) {
    const auto pointer = read(text);
    ASSERT_TRUE(pointer) << text;
    EXPECT_EQ(pointer->oid, k_oid);
    EXPECT_EQ(pointer->size, 12345u);
    EXPECT_TRUE(pointer->read_by_git_lfs) << text;
    EXPECT_THAT(pointer->problems, Contains(HasSubstr(problem))) << text;
  }
}

TEST(Pointer, FollowsWhatLooserReadersFollow) {
  for (const std::string& text:
       {k_version + "size 12345\noid sha256:" + k_oid + "\n", k_canonical + "extra line\n",
        k_version + "oid sha256:" + k_oid + "\n",
        k_version + "oid sha256:" + k_oid + "\nsize -1\n"}) {
    const auto pointer = read(text);
    ASSERT_TRUE(pointer) << text;
    EXPECT_EQ(pointer->oid, k_oid);
    EXPECT_FALSE(pointer->read_by_git_lfs) << text;
    EXPECT_FALSE(pointer->problems.empty()) << text;
  }
}

TEST(Pointer, KeepsEveryIdThatItNames) {
  const std::string other(64, 'b');
  const auto pointer = read(k_canonical + "oid sha256:" + other + "\n");
  ASSERT_TRUE(pointer);
  EXPECT_THAT(pointer->other_oids, ElementsAre(other));
}

TEST(LfsPath, FillsTheShapesThatServersUse) {
  const auto templates = default_lfs_templates();
  ASSERT_EQ(templates.size(), 3u);
  EXPECT_EQ(expand_lfs_path(templates[0], "/lfs", k_oid), "/lfs/4d/7a/" + k_oid.substr(4));
  EXPECT_EQ(expand_lfs_path(templates[1], "/lfs", k_oid), "/lfs/4d/7a/" + k_oid);
  EXPECT_EQ(expand_lfs_path(templates[2], "/lfs", k_oid), "/lfs/4/d/" + k_oid);
  EXPECT_EQ(expand_lfs_path("{root}/{:1}", "/lfs", k_oid), "/lfs/4");
}

TEST(LfsPath, RefusesMalformedTemplates) {
  for (const char* bad: {"{root", "{}", "{a}", "{64}", "{2:2}", "{3:2}", "{0:65}", "{0:x}", "{x}",
                         "{-1}", "{99999999999999999999}"})
    EXPECT_FALSE(expand_lfs_path(bad, "/lfs", k_oid)) << bad;
}

} // namespace
} // namespace hubgate::git
