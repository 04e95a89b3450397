#include "scanner/gitstore/made_pack.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using git::PackEntry;
using git::test::MadePack;
using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

const std::string k_pickle = "cos\nsystem\n(S'echo hubgate-inert-marker'\ntR.";

TEST(GitPack, WhatGitWritesIsClean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/git_pack/corpus", "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "git_pack") << name;
  }
}

TEST(GitPack, ACutIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/git_pack/corpus", "good_"))
    for (std::size_t n = 12; n < bytes.size(); ++n)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
}

TEST(GitPack, ObjectsAreScannedAlsoWhenTheyAreDifferences) {
  MadePack pack;
  const std::string half = k_pickle.substr(0, 20);
  const std::uint64_t base = pack.object(half);
  EXPECT_EQ(find_rule(scan_bytes(pack.pack()), "pickle-dangerous-call"), nullptr);
  pack.offset_delta(git::test::id_of(k_pickle), base,
                    git::test::delta_number(half.size()) +
                        git::test::delta_number(k_pickle.size()) +
                        git::test::copy_of(0, static_cast<std::uint32_t>(half.size())) +
                        git::test::insert_of(k_pickle.substr(20)));
  const Report report = scan_bytes(pack.pack());
  ASSERT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
  EXPECT_TRUE(find_rule(report, "pickle-dangerous-call")->where.starts_with("blob@"));
}

TEST(GitPack, WhatCanNotBeMadeIsAGap) {
  MadePack foreign;
  foreign.id_delta(git::test::id_of("x"), git::test::id_of("elsewhere"),
                   git::test::delta_number(9) + git::test::delta_number(1) +
                       git::test::insert_of("x"));
  EXPECT_TRUE(test::has_gap(scan_bytes(foreign.pack()), Reason::unsupported));
  MadePack broken;
  broken.raw(git::test::id_of("x"), MadePack::head(PackEntry::Type::blob, 100) + "no stream");
  broken.object(k_pickle);
  EXPECT_TRUE(test::has_gap(scan_bytes(broken.pack()), Reason::malformed));
  MadePack wrong;
  wrong.raw(git::test::id_of("x"),
            MadePack::head(PackEntry::Type::blob, 3) + git::test::deflated("four"));
  EXPECT_TRUE(test::has_gap(scan_bytes(wrong.pack()), Reason::malformed));
}

TEST(GitPack, NamesInTreesAreJudged) {
  MadePack pack;
  pack.object("100644 ok" + std::string(1, '\0') + std::string(20, 'i') + "40000 ..",
              PackEntry::Type::tree);
  EXPECT_TRUE(test::has_gap(scan_bytes(pack.pack()), Reason::opaque)); // no tree
  MadePack other;
  other.object("100644 ok" + std::string(1, '\0') + std::string(20, 'i') + "40000 .." +
                   std::string(1, '\0') + std::string(20, 'i'),
               PackEntry::Type::tree);
  EXPECT_NE(find_rule(scan_bytes(other.pack()), "git-tree-name"), nullptr);
}

} // namespace
} // namespace hubgate
