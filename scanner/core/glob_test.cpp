#include "scanner/core/glob.hpp"

#include <gtest/gtest.h>

#include <string>

namespace hubgate {
namespace {

bool matches(std::string_view pattern, std::string_view text) {
  return glob_matches(pattern, text, Case::sensitive);
}

TEST(Glob, StarStopsAtSlash) {
  EXPECT_TRUE(matches("acme/*", "acme/model"));
  EXPECT_FALSE(matches("acme/*", "acme/team/model"));
  EXPECT_FALSE(matches("acme/*", "acme"));
  EXPECT_TRUE(matches("*/*-beta", "acme/model-beta"));
  EXPECT_TRUE(matches("a*b*c", "aXbXbc"));
  EXPECT_FALSE(matches("a*b*c", "aXbX/bc"));
}

TEST(Glob, DoubleStarCrossesSlashes) {
  EXPECT_TRUE(matches("acme/**", "acme/team/model"));
  EXPECT_TRUE(matches("**", ""));
  EXPECT_TRUE(matches("**", "a/b"));
  EXPECT_TRUE(matches("**/x", "x"));
  EXPECT_TRUE(matches("**/x", "a/b/x"));
  EXPECT_FALSE(matches("**/x", "a/bx"));
  EXPECT_TRUE(matches("a/**/z", "a/z"));
  EXPECT_TRUE(matches("a/**/z", "a/b/c/z"));
  EXPECT_TRUE(matches("a**z", "a/b/z"));
  EXPECT_TRUE(matches("**/*.bin/c", "a/b.bin/c"));
  EXPECT_TRUE(matches("**.p*l", "deep/er/x.pkl"));
  EXPECT_FALSE(matches("**.p*l", "deep.p/er/x.bin"));
}

TEST(Glob, QuestionMarkAndSets) {
  EXPECT_TRUE(matches("model-?", "model-1"));
  EXPECT_FALSE(matches("model?", "model/"));
  EXPECT_TRUE(matches("v[0-9]", "v7"));
  EXPECT_FALSE(matches("v[!0-9]", "v7"));
  EXPECT_TRUE(matches("v[!0-9]", "vx"));
  EXPECT_FALSE(matches("v[!0-9]", "v/"));
  EXPECT_TRUE(matches("a[]]b", "a]b"));
  EXPECT_TRUE(matches("a[b", "a[b")) << "a set without an end is itself";
  EXPECT_TRUE(matches("a[b-]", "a-"));
}

TEST(Glob, CaseCountsOnlyWhereAskedFor) {
  EXPECT_FALSE(matches("Acme/*", "acme/x"));
  EXPECT_TRUE(repo_glob_matches("Acme/*", "aCME/x"));
  EXPECT_TRUE(glob_matches("[A-F]", "c", Case::insensitive));
}

TEST(Glob, PathsMatchByTheirLastComponentUnlessThePatternHasASlash) {
  EXPECT_TRUE(path_glob_matches("*.pth", "deep/folder/EVIL.PTH"));
  EXPECT_FALSE(path_glob_matches("*.pth", "evil.pth/readme"));
  EXPECT_TRUE(path_glob_matches("models/*", "models/x.bin"));
  EXPECT_FALSE(path_glob_matches("models/*", "x/models/x.bin"));
}

TEST(Glob, ALoneStarIsEveryRepository) {
  EXPECT_TRUE(repo_glob_matches("*", "datasets/acme/x"));
  EXPECT_TRUE(repo_glob_matches("*", ""));
}

TEST(Glob, ManyStarsEndInTime) {
  std::string pattern;
  for (int i = 0; i < 60; ++i)
    pattern += "*a**";
  EXPECT_FALSE(matches(pattern + "b", std::string(3000, 'a')));
}

} // namespace
} // namespace hubgate
