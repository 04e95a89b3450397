#include "policy/yaml.hpp"

#include <gmock/gmock.h>

#include <array>

namespace hubgate::yaml {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> words(const Document& document) {
  std::vector<std::string> out;
  for (const auto& problem: document.problems())
    out.push_back(to_string(problem));
  return out;
}

TEST(Yaml, ReadsTypedFields) {
  Document document = parse("name: gate\nport: 8443\non: true\nroom: 1.5GiB\nwait: 250ms\n"
                            "many: [a, b]\none: c\ninner: {x: 1}\nlist:\n  - {y: 2}\n  - {y: 3}\n",
                            "f.yaml");
  Mapping top = document.top();
  EXPECT_EQ(top.text("name"), "gate");
  EXPECT_EQ(top.number("port"), 8443U);
  EXPECT_EQ(top.flag("on"), true);
  EXPECT_EQ(top.size("room"), (std::uint64_t{3} << 30) / 2);
  EXPECT_EQ(top.duration("wait"), std::chrono::milliseconds(250));
  EXPECT_EQ(top.list("many")->size(), 2U);
  EXPECT_EQ(top.list("one")->front().text, "c");
  auto inner = top.mapping("inner");
  EXPECT_EQ(inner->number("x"), 1U);
  inner->finish();
  auto list = top.mappings("list");
  EXPECT_EQ((*list)[1].number("y"), 3U);
  EXPECT_EQ((*list)[1].line(), 11U);
  top.finish();
  EXPECT_THAT(words(document), ElementsAre());
  EXPECT_FALSE(document.first_error());
  EXPECT_FALSE(top.text("absent"));
}

TEST(Yaml, TellsEveryProblemWithLineAndField) {
  Document document = parse("port: many\nroom: 3XB\ninner:\n  colour: blue\n  size: 1\n", "f.yaml");
  Mapping top = document.top();
  EXPECT_FALSE(top.number("port"));
  EXPECT_FALSE(top.size("room"));
  auto inner = top.mapping("inner");
  static constexpr std::array<std::string_view, 2> k_colours{"red", "blues"};
  EXPECT_FALSE(inner->choice("colour", k_colours));
  inner->finish();
  top.finish();
  EXPECT_THAT(words(document),
              ElementsAre("f.yaml:1: port: 'many' is not a whole number",
                          "f.yaml:2: room: '3XB' is not a size, like 512, 64KiB, 1.5GB",
                          "f.yaml:4: inner.colour: 'blue' is not one of red, blues; did you mean "
                          "'blues'?",
                          HasSubstr("f.yaml:5: inner: unknown key 'size'")));
  EXPECT_THAT(document.first_error()->message, HasSubstr("(and 3 more)"));
}

struct Bad {
  const char* text;
  const char* problem;
};

class YamlRefuses : public testing::TestWithParam<Bad> {};

TEST_P(YamlRefuses, WithLineAndReason) {
  const Document document = parse(GetParam().text, "f");
  ASSERT_TRUE(document.first_error());
  EXPECT_THAT(document.first_error()->message, HasSubstr(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(
    What, YamlRefuses,
    testing::Values(Bad{"a: 1\nb: 2\na: 3\n", "f:3: 'a' is given twice, first in line 1"},
                    Bad{"a: &x 1\nb: *x\n", "f:1: anchors"},
                    Bad{"a: !!python/object 1\n", "f:1: tags"}, Bad{"a: [1,\n", "f:"},
                    Bad{"- a\n- b\n", "expected a mapping, got a list"}, Bad{"", "f: is empty"},
                    Bad{"a: 1\n---\nb: 2\n", "a second document"},
                    Bad{"? [a, b]\n: 1\n", "a key must be a plain word"},
                    Bad{"a: {b: 1}}\n", "f:"}));

TEST(Yaml, RefusesDepthSizeAndNul) {
  EXPECT_THAT(parse(std::string(100, '[') + std::string(100, ']'), "f").first_error()->message,
              HasSubstr("nested too deeply"));
  EXPECT_TRUE(parse(std::string(100'000, '['), "f").first_error());
  EXPECT_TRUE(parse(std::string(std::size_t{5} << 20, ' '), "f").first_error());
  EXPECT_TRUE(parse(std::string_view("a: 1\0", 5), "f").first_error());
}

TEST(Yaml, WrongKindsAreProblemsNotCrashes) {
  Document document = parse("a: [1]\nb: {x: 1}\nc: 1\nd: []\ne: ~\n", "f");
  Mapping top = document.top();
  EXPECT_FALSE(top.text("a"));
  EXPECT_FALSE(top.list("b"));
  EXPECT_FALSE(top.mapping("c"));
  EXPECT_FALSE(top.mappings("c"));
  EXPECT_FALSE(top.list("d"));
  EXPECT_FALSE(top.text("e"));
  EXPECT_EQ(document.problems().size(), 6U);
}

TEST(Yaml, SizesAndDurations) {
  EXPECT_EQ(size_from("0"), 0U);
  EXPECT_EQ(size_from("64 KiB"), 65536U);
  EXPECT_EQ(size_from("1.5GB"), 1'500'000'000U);
  EXPECT_EQ(size_from("-1"), std::nullopt);
  EXPECT_EQ(size_from("9999999TiB"), std::nullopt);
  EXPECT_EQ(size_from("1e3"), std::nullopt);
  EXPECT_EQ(size_from(""), std::nullopt);
  EXPECT_EQ(duration_from("30d"), std::chrono::hours(720));
  EXPECT_EQ(duration_from("5"), std::nullopt);
}

TEST(Yaml, NearestFindsTypos) {
  static constexpr std::array<std::string_view, 3> k_names{"verdict", "severity", "mode"};
  EXPECT_EQ(nearest("verdic", k_names), "verdict");
  EXPECT_EQ(nearest("mod", k_names), "mode");
  EXPECT_EQ(nearest("elephant", k_names), "");
}

} // namespace
} // namespace hubgate::yaml
