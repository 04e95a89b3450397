#include "scanner/config/yaml.hpp"
#include "scanner/config/yaml_json.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using config::YamlEvent;
using config::YamlReader;
using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

// The events of a text in one line, as PyYAML's parser makes them.
std::string events(std::string_view text) {
  YamlReader reader(text);
  std::string out;
  for (int i = 0; i < 10'000; ++i) {
    const YamlEvent event = reader.next();
    if (event == YamlEvent::end) return out;
    if (event == YamlEvent::error) return out + "!";
    if (!reader.tag().empty() && (event == YamlEvent::scalar || event == YamlEvent::map_begin ||
                                  event == YamlEvent::list_begin))
      out += "<" + reader.tag() + ">";
    switch (event) {
    case YamlEvent::document_begin:
      out += "+";
      break;
    case YamlEvent::document_end:
      out += "-";
      break;
    case YamlEvent::map_begin:
      out += "{";
      break;
    case YamlEvent::map_end:
      out += "}";
      break;
    case YamlEvent::list_begin:
      out += "[";
      break;
    case YamlEvent::list_end:
      out += "]";
      break;
    case YamlEvent::alias:
      out += "*" + reader.anchor() + " ";
      break;
    default:
      out += reader.value() + " ";
      break;
    }
  }
  return out + "?";
}

TEST(YamlReader, blocks_flows_and_scalars) {
  EXPECT_EQ(events("a: 1\nb:\n- x\n- y: z\n  w: v\nc: {d: [e, f], g: }\n"),
            "+{a 1 b [x {y z w v }]c {d [e f ]g  }}-");
  EXPECT_EQ(events("- 'it''s'\n- \"\\x41\\u00e9\\n\"\n- >-\n  a\n  b\n- |+\n  c\n\n"),
            "+[it's A\xc3\xa9\n a b c\n\n ]-");
  EXPECT_EQ(events("a: b\n c\n\n d\n"), "+{a b c\nd }-");
  EXPECT_EQ(events("? [x]\n: y\n"), "+{[x ]y }-");
  EXPECT_EQ(events("[a: b, c]"), "+[{a b }c ]-");
  EXPECT_EQ(events("--- 1\n...\n---\n2\n"), "+1 -+2 -");
  EXPECT_EQ(events("a: http://x:1/#y # z\n"), "+{a http://x:1/#y }-");
}

TEST(YamlReader, tags_in_every_notation_come_out_in_full) {
  EXPECT_EQ(events("!!python/name:a.b ''"), "+<tag:yaml.org,2002:python/name:a.b> -");
  EXPECT_EQ(events("!<tag:yaml.org,2002:python/tuple> [a]"),
            "+<tag:yaml.org,2002:python/tuple>[a ]-");
  EXPECT_EQ(events("%TAG !x! tag:yaml.org,2002:python/\n--- !x!name:os.system ''\n"),
            "+<tag:yaml.org,2002:python/name:os.system> -");
  EXPECT_EQ(events("%TAG ! tag:yaml.org,2002:\n--- !python/name:os.system\n"),
            "+<tag:yaml.org,2002:python/name:os.system> -");
  EXPECT_EQ(events("a: !new:m.C\n  x: 1\n"), "+{a <!new:m.C>{x 1 }}-");
  EXPECT_EQ(events("[!<tag:yaml.org,2002:str> a]"), "+[<tag:yaml.org,2002:str>a ]-");
  EXPECT_EQ(events("!!py%74hon/name:x ''"), "+<tag:yaml.org,2002:python/name:x> -");
}

TEST(YamlReader, anchors_and_errors) {
  EXPECT_EQ(events("a: &x 1\nb: *x\n<<: *x\n"), "+{a 1 b *x << *x }-");
  for (const char* text: {"a: b: c", "[a", "{a: b", "\"a", "- a\nb: c\n", "a: 1\n- b\n", "@x"})
    EXPECT_TRUE(events(text).ends_with("!")) << text;
}

TEST(YamlReader, deep_nesting_ends) {
  EXPECT_TRUE(events(std::string(200'000, '[')).ends_with("!"));
  std::string steps;
  for (std::size_t i = 0; i < 3000; ++i)
    steps += std::string(i, ' ') + "a:\n";
  EXPECT_FALSE(events(steps).ends_with("!"));
}

TEST(Yaml, honest_files_are_clean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/yaml/corpus", "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_EQ(report.format, "yaml") << name;
    EXPECT_TRUE(is_clean(report)) << name << show(report);
  }
}

TEST(Yaml, other_text_is_not_yaml) {
  for (const std::string& text: {"just words"s, "# Title\n\nSome text, more.\n"s,
                                 "[link](http://x)\n"s, "int main() { return 0; }\n"s}) {
    const Report report = scan_bytes(text);
    EXPECT_NE(report.format, "yaml") << text;
    EXPECT_TRUE(report.findings.empty()) << show(report);
  }
}

TEST(Yaml, python_tags_run_code) {
  const auto severity = [](std::string_view text) {
    const Report report = scan_bytes(text);
    const Finding* finding = find_rule(report, "yaml-python-object");
    return finding == nullptr ? "none"s : std::string(to_string(finding->severity));
  };
  EXPECT_EQ(severity("a: !!python/object/apply:os.system ['id']\n"), "malicious");
  EXPECT_EQ(severity("!<tag:yaml.org,2002:python/object/new:my.Class> {}"), "malicious");
  EXPECT_EQ(severity("%TAG !x! tag:yaml.org,2002:python/\n--- !x!object/apply:os.system ['id']\n"),
            "malicious");
  EXPECT_EQ(severity("a: !!python/name:my.function\n"), "suspicious");
  EXPECT_EQ(severity("a: !!python/tuple [1, 2]\n"), "none");
  EXPECT_EQ(severity("a: !!python/object/apply:collections.OrderedDict [[]]\n"), "none");
  EXPECT_NE(
      find_rule(scan_bytes("%TAG !x! tag:yaml.org,2002:python/\n--- a: b\n"), "yaml-tag-handle"),
      nullptr);
  EXPECT_NE(find_rule(scan_bytes("!!javax.script.ScriptEngineManager []"), "yaml-object"), nullptr);
  EXPECT_NE(find_rule(scan_bytes("a: !ruby/object:Gem::Requirement {}"), "yaml-object"), nullptr);
}

TEST(Yaml, hyperpyyaml_tags_are_judged_by_name) {
  const auto rule_of = [](std::string_view text) {
    const Report report = scan_bytes(text);
    return report.findings.empty() ? "" : report.findings[0].rule;
  };
  EXPECT_EQ(rule_of("a: !apply:os.system [id]\n"), "yaml-hyper-dangerous");
  EXPECT_EQ(rule_of("a: !name:speechbrain.utils.superpowers.run_shell\n"), "yaml-hyper-dangerous");
  EXPECT_EQ(rule_of("a: !new:my.Model\n"), "yaml-hyper-call");
  EXPECT_EQ(rule_of("a: !apply:torch.manual_seed [1]\nb: !new:torch.nn.Linear\n"), "");
  EXPECT_EQ(rule_of("a: !include:other.yaml\n"), "yaml-include");
  EXPECT_EQ(rule_of("a: !include:../../etc/x.yaml\n"), "yaml-include-path");
}

TEST(Yaml, bombs_and_duplicates) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 8; ++k)
      bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_NE(find_rule(scan_bytes(bomb), "yaml-alias-bomb"), nullptr);
  EXPECT_TRUE(scan_bytes("a: &x {b: 1}\nc: *x\nd: *x\n").findings.empty());
  EXPECT_NE(find_rule(scan_bytes("a: &x [1, *x]\n"), "yaml-recursive-alias"), nullptr);
  const Report twice = scan_bytes("a: 1\na: 2\n");
  EXPECT_TRUE(is_clean(twice) && find_rule(twice, "yaml-duplicate-key") != nullptr) << show(twice);
  const Report matters = scan_bytes("_target_: torch.nn.Linear\n_target_: torch.nn.ReLU\n");
  ASSERT_NE(find_rule(matters, "yaml-duplicate-key"), nullptr);
  EXPECT_EQ(find_rule(matters, "yaml-duplicate-key")->severity, Severity::suspicious);
}

TEST(Yaml, findings_outlive_errors_and_a_broken_file_is_a_gap) {
  const Report report = scan_bytes("m:\n  _target_: os.system\n x: [\n");
  EXPECT_NE(find_rule(report, "config-dangerous-target"), nullptr) << show(report);
  ASSERT_TRUE(has_gap(report, Reason::malformed));
  EXPECT_NE(report.gaps[0].condition.find("*.yaml"), std::string::npos);
}

TEST(Yaml, front_matter_is_read_and_the_prose_below_is_not) {
  const Report report = scan_bytes("---\nlicense: mit\ntags: [a]\n---\n# Title: x\n\n- [ ] y {z\n");
  EXPECT_EQ(report.format, "yaml") << show(report);
  EXPECT_TRUE(is_clean(report)) << show(report);
}

TEST(Yaml, utf16_is_read_too) {
  std::string wide = "\xff\xfe";
  for (const char c: "a: !!python/object/apply:os.system [id]\n"s)
    wide += std::string{c, '\0'};
  EXPECT_NE(find_rule(scan_bytes(wide), "yaml-python-object"), nullptr);
}

TEST(Yaml, is_written_again_as_json) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"a: 1\nb: [x, 'y\"', ~]\n", R"({"a":"1","b":["x","y\"","~"]})"},
      {"a: &x {b: c}\nd: *x\ne: *none\n", R"({"a":{"b":"c"},"d":{"b":"c"},"e":null})"},
      {"a: &x {b: c}\nd:\n  <<: *x\n  e: f\n", R"({"a":{"b":"c"},"d":{"b":"c","e":"f"}})"},
      {"d:\n  e: f\n  <<: &x {b: c}\n", R"({"d":{"e":"f","<<":{"b":"c"}}})"},
      {"? [a, {b: c}]\n: d\n", R"({"?":"d"})"},
      {"- a\n- - b\n  - {}\n", R"(["a",["b",{}]])"},
      {"a: \"\\x07\"\n---\nb: c\n", R"({"a":"\u0007"})"}};
  for (const auto& [yaml, json]: cases)
    EXPECT_EQ(config::yaml_as_json(yaml, 1000).value_or("nothing"), json) << yaml;
  EXPECT_FALSE(config::yaml_as_json("only words", 1000));
  EXPECT_FALSE(config::yaml_as_json("a: [b", 1000));
  EXPECT_FALSE(config::yaml_as_json("? [a, {b: c}\n: d", 1000)) << "ends inside a key";
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    const std::string before = "*a" + std::to_string(i - 1) + ", ";
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + before + before +
            before + "x]\n";
  }
  EXPECT_FALSE(config::yaml_as_json(bomb, std::size_t{1} << 20));
}

TEST(Yaml, an_architecture_is_judged_like_its_twin_in_json) {
  const Report report = scan_bytes("class_name: Sequential\nconfig:\n  layers:\n  - class_name: "
                                   "system\n    module: os\n    registered_name: null\n    "
                                   "config: {command: id}\n");
  EXPECT_NE(find_rule(report, "keras-arbitrary-import"), nullptr) << show(report);
  EXPECT_TRUE(is_clean(scan_bytes("class_name: Sequential\nconfig:\n  layers:\n  - class_name: "
                                  "Dense\n    config: {units: 3, activation: relu}\n")));
}

} // namespace
} // namespace hubgate
