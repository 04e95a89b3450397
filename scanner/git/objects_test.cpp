#include "scanner/git/tree_check.hpp"

#include <gmock/gmock.h>

namespace hubgate::git {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string k_id(40, '1');
const std::string k_author = "author A <a@b> 1 +0000\n";
const std::string k_committer = "committer A <a@b> 1 +0000\n";

std::string entry(std::string_view mode, std::string_view name) {
  return std::string(mode) + " " + std::string(name) + std::string(1, '\0') +
         std::string(20, '\x11');
}

std::vector<std::string> rules_for(const std::string& tree) {
  const auto entries = parse_tree(as_bytes(tree));
  if (!entries) return {"malformed: " + entries.error().message};
  std::vector<std::string> out;
  for (const auto& problem: check_tree(*entries))
    out.emplace_back(problem.rule->id);
  return out;
}

TEST(Commit, ReadsTreeAndParents) {
  const auto commit = parse_commit(as_bytes("tree " + k_id + "\nparent " + std::string(40, '2') +
                                            "\nparent " + std::string(40, '3') + "\n" + k_author +
                                            k_committer + "gpgsig x\n y\n\nmessage\n"));
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->tree.hex(), k_id);
  EXPECT_EQ(commit->parents.size(), 2u);
  EXPECT_EQ(commit->parents[1].hex(), std::string(40, '3'));
}

TEST(Commit, RefusesWhatCouldHideAnObject) {
  const std::string tail = k_author + k_committer + "\n";
  for (const std::string& bad:
       {std::string(), "parent " + k_id + "\n" + tail, "tree " + k_id.substr(1) + "\n" + tail,
        "tree " + k_id + "\nparent " + k_id + "0\n" + tail, "tree " + k_id + "\nparent\n" + tail,
        "tree " + k_id + "\n" + k_committer, "tree " + k_id + "\n" + k_author,
        "tree " + k_id + "\n" + k_author + "parent " + k_id + "\n" + k_committer})
    EXPECT_FALSE(parse_commit(as_bytes(bad))) << bad;
}

TEST(Tag, ReadsItsObjectAndKind) {
  const auto tag = parse_tag(as_bytes("object " + k_id + "\ntype blob\ntag v1\n\nx\n"));
  ASSERT_TRUE(tag);
  EXPECT_EQ(tag->kind, Kind::blob);
  EXPECT_FALSE(parse_tag(as_bytes("object " + k_id + "\ntype thing\ntag v1\n")));
  EXPECT_FALSE(parse_tag(as_bytes("object " + k_id + "\ntag v1\ntype blob\n")));
}

TEST(Tree, ReadsEntries) {
  const std::string tree =
      entry("100644", "a.txt") + entry("40000", "models") + entry("120000", "z");
  const auto entries = parse_tree(as_bytes(tree));
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].name, "a.txt");
  EXPECT_TRUE((*entries)[1].is_tree());
  EXPECT_TRUE((*entries)[2].is_symlink());
  EXPECT_THAT(check_tree(*entries), IsEmpty());
  EXPECT_TRUE(parse_tree({})->empty());
}

TEST(Tree, IsMalformedWhenCutAnywhere) {
  const std::string tree = entry("100644", "a") + entry("40000", "b");
  const std::size_t half = tree.size() - entry("40000", "b").size();
  for (std::size_t i = 1; i < tree.size(); ++i) {
    if (i == half) continue;
    EXPECT_FALSE(parse_tree(as_bytes(tree).first(i))) << i;
  }
  EXPECT_FALSE(parse_tree(as_bytes("x 100644 a")));
  EXPECT_FALSE(parse_tree(as_bytes(entry("100844", "a"))));
  EXPECT_FALSE(parse_tree(as_bytes(entry("777777777", "a"))));
}

TEST(TreeCheck, FindsEverySpellingOfDotGit) {
  for (const std::string& name:
       {std::string(".git"), std::string(".GIT"), std::string(".Git"), std::string("git~1"),
        std::string("GIT~1"), std::string(".git "), std::string(".git..."), std::string(".git. ."),
        std::string(".git::$INDEX_ALLOCATION"), std::string(".g\xe2\x80\x8cit"),
        std::string("\xef\xbb\xbf.git"), std::string(".gi\xe2\x81\xaat"), std::string("a\\.git\\x"),
        std::string(".git\\config")}) {
    EXPECT_THAT(rules_for(entry("40000", name)), ElementsAre("git-tree-name")) << name;
  }
  for (const char* fine: {".gitignore", ".gitkeep", "git", "a.git", ".github", "git~2", "..."})
    EXPECT_THAT(rules_for(entry("100644", fine)), IsEmpty()) << fine;
}

TEST(TreeCheck, FindsNamesThatLeadElsewhere) {
  for (const char* name: {"..", ".", "a/b", "a\\..\\b", "/etc"})
    EXPECT_THAT(rules_for(entry("100644", name)), ElementsAre("git-tree-name")) << name;
  EXPECT_THAT(rules_for(entry("100644", "")), ElementsAre("git-tree-name"));
}

TEST(TreeCheck, FindsDuplicatesAlsoOfFileAndFolder) {
  EXPECT_THAT(rules_for(entry("100644", "a") + entry("100644", "a")),
              ElementsAre("git-tree-order"));
  // In the order of a tree "a-" stands between the file "a" and the folder "a".
  EXPECT_THAT(rules_for(entry("100644", "a") + entry("100644", "a-") + entry("40000", "a")),
              ElementsAre("git-tree-order"));
  EXPECT_THAT(rules_for(entry("100644", "b") + entry("100644", "a")),
              ElementsAre("git-tree-order"));
  EXPECT_THAT(rules_for(entry("100644", "a-") + entry("40000", "a")), IsEmpty());
}

TEST(TreeCheck, FindsModesThatGitDoesNotHave) {
  EXPECT_THAT(rules_for(entry("100777", "a")), ElementsAre("git-tree-mode"));
  EXPECT_THAT(rules_for(entry("10644", "a")), ElementsAre("git-tree-mode"));
  EXPECT_THAT(rules_for(entry("040000", "a")), ElementsAre("git-tree-odd-name"));
  EXPECT_THAT(rules_for(entry("100664", "a")), IsEmpty());
  EXPECT_THAT(rules_for("100644 a" + std::string(21, '\0')), ElementsAre("git-tree-mode"));
}

TEST(TreeCheck, FindsCaseCollisionsAndLinksAmongThem) {
  EXPECT_THAT(rules_for(entry("100644", "README") + entry("100644", "readme")),
              ElementsAre("git-tree-case"));
  EXPECT_THAT(rules_for(entry("120000", "A") + entry("40000", "a")),
              ElementsAre("git-tree-case-link"));
}

TEST(TreeCheck, FindsControlFilesThatAreLinks) {
  EXPECT_THAT(rules_for(entry("120000", ".gitmodules")), ElementsAre("git-tree-control-link"));
  EXPECT_THAT(rules_for(entry("120000", ".gitattributes ")), ElementsAre("git-tree-control-link"));
  EXPECT_THAT(rules_for(entry("100644", ".gitattributes")), IsEmpty());
}

TEST(TreeCheck, IsBounded) {
  std::string tree;
  for (int i = 0; i < 1000; ++i)
    tree += entry("100644", "..");
  EXPECT_EQ(check_tree(*parse_tree(as_bytes(tree))).size(), 40u); // of each of two rules
}

TEST(LinkTarget, TellsInsideFromOutside) {
  EXPECT_EQ(link_target("models/a/link", "../b/model.bin"), LinkTarget::inside);
  EXPECT_EQ(link_target("models/a/link", "../../x"), LinkTarget::inside);
  EXPECT_EQ(link_target("link", "model.bin"), LinkTarget::inside);
  for (const char* out: {"/etc/passwd", "../x", "a/../../x", "\\\\host\\share", "C:\\x", "c:x"})
    EXPECT_EQ(link_target("link", out), LinkTarget::outside) << out;
  EXPECT_EQ(link_target("a/link", "../../x"), LinkTarget::outside);
  EXPECT_EQ(link_target("a/link", "../.git/hooks/x"), LinkTarget::dot_git);
  EXPECT_EQ(link_target("a/link", "../.GIT/config"), LinkTarget::dot_git);
  EXPECT_EQ(link_target("link", std::string_view("../x\0y", 6)), LinkTarget::outside);
}

TEST(TreeCheck, NamesThatOnlySomeFileSystemsTakeForControlFiles) {
  const auto rules = [](std::string_view name) {
    TreeEntry entry;
    entry.mode = 0100644;
    entry.name = name;
    entry.oid = *Oid::from_hex(std::string(40, 'a'));
    std::string out;
    for (const auto& problem: check_tree(std::span(&entry, 1)))
      out += std::string(problem.rule->id) + " ";
    return out;
  };
  for (const auto* name:
       {".gitmodules ", ".gitmodules.", ".GitModules::$DATA", "GITMOD~1", "gitatt~1",
        (".lfs\xe2\x80\x8c"
         "config")})
    EXPECT_EQ(rules(name), "git-tree-control-name ") << name;
  for (const auto* name:
       {".gitmodules", ".GitAttributes", ".lfsconfig", "gitmodules", ".gitkeep", "a~1"})
    EXPECT_EQ(rules(name), "") << name;
}

TEST(TreeCheck, ManySmallFaultsDoNotHideAGraveOne) {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i)
    names.push_back("a" + std::to_string(100 + i) + "\\b");
  names.emplace_back("git~1");
  std::vector<TreeEntry> entries;
  for (const auto& name: names) {
    TreeEntry& entry = entries.emplace_back();
    entry.mode = 0100644;
    entry.name = name;
    entry.oid = *Oid::from_hex(std::string(40, 'a'));
  }
  const auto problems = check_tree(entries);
  EXPECT_EQ(problems.size(), 21u);
  EXPECT_EQ(problems.back().rule->id, "git-tree-name");
}

} // namespace
} // namespace hubgate::git
