#include "policy/yara_rules.hpp"

#include "policy/gatekeeper.hpp"
#include "policy/test_reports.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace hubgate {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view k_rule =
    "rule Sundial { meta: severity = \"malicious\" class = \"leak\" "
    "strings: $a = \"sundial\" condition: $a }\n";

class YaraRules : public testing::Test {
protected:
  YaraRules() {
    std::filesystem::create_directories(folder.path() / "rules");
    write("rules/own.yar", k_rule);
  }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder.path() / name) << text;
  }
  /// A policy file with these YARA files.
  std::filesystem::path policy(const std::string& files) const {
    write("policy.yaml",
          "version: 1\nname: p\nyara: " + files +
              "\nrules:\n  - {id: ours, match: {rules: \"yara:own.*\", class: leak}, "
              "action: block}\n  - {id: rest, action: allow}\n");
    return folder.path() / "policy.yaml";
  }
  std::vector<std::string> problems(const std::string& files) const {
    const auto file = policy(files);
    const std::string text = *yaml::read_file(file, 1 << 20);
    std::vector<std::string> out;
    for (const auto& problem: Policy::check(text, "policy.yaml", file.parent_path()))
      out.push_back(yaml::to_string(problem));
    return out;
  }

  Folder folder;
};

TEST_F(YaraRules, AreReadFromBesideThePolicy) {
  EXPECT_THAT(problems("[rules/*.yar]"), IsEmpty()) << "its rules and classes are known";
  const auto loaded = Policy::load(policy("rules/own.yar"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_TRUE(loaded->yara());
  ASSERT_EQ(loaded->yara()->rules.size(), 1U);
  EXPECT_EQ(loaded->yara()->rules[0].id, "yara:own.Sundial");
  Finding found = malicious();
  found.rule = "yara:own.Sundial";
  found.klass = "leak";
  EXPECT_EQ(loaded->decide(report({found}), context()).rule, "ours");
  EXPECT_FALSE(Policy::preset("guarded")->yara());
}

TEST_F(YaraRules, ProblemsNameTheirFile) {
  write("rules/bad.yar", "rule A {\n  condition:\n    $b }\n");
  const auto told = problems("[rules/*.yar]");
  ASSERT_FALSE(told.empty());
  EXPECT_THAT(told, ElementsAre(HasSubstr("rules/bad.yar:3: "))) << "and none about the matches";
  EXPECT_THAT(problems("[rules/none.yar]")[0], HasSubstr("policy.yaml:3: yara"));
  EXPECT_THAT(problems("[rules/*.none]")[0], HasSubstr("no file"));
  EXPECT_THAT(problems("['*/own.yar']")[0], HasSubstr("folders"));
  EXPECT_THAT(problems("[]")[0], HasSubstr("empty list"));
  const auto loaded = Policy::load(policy("[rules/*.yar]"));
  ASSERT_FALSE(loaded) << "with an error there is no policy, not one without the rules";
}

TEST_F(YaraRules, ChangeTheDigests) {
  const Policy one = *Policy::load(policy("rules/own.yar"));
  write("rules/own.yar", std::string(k_rule) + "rule More { condition: false }\n");
  const Policy other = *Policy::load(policy("rules/own.yar"));
  EXPECT_NE(one.digest(), other.digest());
  EXPECT_NE(with_yara("program", one), with_yara("program", other));
  EXPECT_NE(with_yara("program", one), with_yara("next program", one));
  EXPECT_EQ(with_yara("program", *Policy::preset("guarded")), "program");
}

TEST_F(YaraRules, ARecordHoldsForTheRulesThatMadeIt) {
  auto pool = WorkerPool::start(all_formats());
  ASSERT_TRUE(pool.ok()) << pool.error().message;
  const Policy without = *Policy::preset("guarded");
  const Policy with = *Policy::load(policy("rules/own.yar"));
  EXPECT_FALSE(
      Gatekeeper::open({.data_dir = folder.path() / "a", .policy = with, .rules = "r"}).ok())
      << "nobody would look with them";
  auto opened = Gatekeeper::open(
      {.data_dir = folder.path() / "b", .policy = without, .rules = "r", .workers = pool->get()});
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  Gatekeeper& keeper = **opened;
  ObjectDigest object;
  object.size = 1;
  ASSERT_TRUE(keeper.remember(object, report({})).ok());
  EXPECT_TRUE(keeper.lookup(object.sha256, 1)->current);
  const std::string before = keeper.store().rules();
  ASSERT_TRUE(keeper.replace_policy(with).ok());
  EXPECT_FALSE(keeper.lookup(object.sha256, 1)->current);
  // A scan that began before.
  ASSERT_TRUE(keeper.remember(object, report({}), before).ok());
  EXPECT_FALSE(keeper.lookup(object.sha256, 1)->current);
  ASSERT_TRUE(keeper.remember(object, report({}), keeper.store().rules()).ok());
  EXPECT_TRUE(keeper.lookup(object.sha256, 1)->current);
  ASSERT_TRUE(keeper.store().remember_tree("tree", report({}), before).ok());
  EXPECT_FALSE((*keeper.store().tree("tree")).has_value());
}

} // namespace
} // namespace hubgate
