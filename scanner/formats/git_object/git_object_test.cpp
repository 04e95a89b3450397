#include "scanner/formats/git_object/tree.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

const std::string k_pickle = "cos\nsystem\n(S'echo hubgate-inert-marker'\ntR.";

std::string object(const std::string& kind, const std::string& content) {
  return kind + " " + std::to_string(content.size()) + "\0"s + content;
}

TEST(GitObject, LooseObjectsOfGitAreClean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/git_object/corpus", "good_")) {
    EXPECT_TRUE(is_clean(scan_bytes(bytes))) << name << show(scan_bytes(bytes));
    EXPECT_EQ(scan_bytes(bytes).format, "git_object") << name;
    const Report loose = scan_bytes(test::deflated(bytes, 15));
    EXPECT_TRUE(is_clean(loose)) << name << show(loose);
  }
}

TEST(GitObject, ContentIsScanned) {
  const Report report = scan_bytes(test::deflated(object("blob", k_pickle), 15));
  ASSERT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
  EXPECT_EQ(find_rule(report, "pickle-dangerous-call")->where, "content!blob");
}

TEST(GitObject, ACutOrWrongSizeIsNoObject) {
  const std::string whole = object("blob", "\x01\x02\x03 bytes of no kind \xff\xfe"s);
  for (std::size_t n = 8; n < whole.size(); ++n)
    EXPECT_NE(scan_bytes(whole.substr(0, n)).format, "git_object") << n;
  EXPECT_NE(scan_bytes(whole + "x").format, "git_object");
  EXPECT_NE(scan_bytes("blob 007\0seventh"s).format, "git_object");
}

TEST(GitObject, NamesThatLeadOut) {
  for (const char* name: {"..", ".", ".git", ".GIT"}) {
    const std::string tree = "40000 "s + name + "\0"s + std::string(20, 'i');
    EXPECT_NE(find_rule(scan_bytes(object("tree", tree)), "git-tree-name"), nullptr) << name;
  }
  EXPECT_TRUE(git::is_trick("a/../b"));
  EXPECT_TRUE(git::is_trick("a/.git/hooks/post-checkout"));
  EXPECT_FALSE(git::is_trick("a/.gitignore"));
  EXPECT_FALSE(git::is_trick("..."));
}

} // namespace
} // namespace hubgate
