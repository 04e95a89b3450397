#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string condition_of(const Report& report, std::string_view rule) {
  const Finding* finding = find_rule(report, rule);
  return finding == nullptr ? "none" : finding->condition;
}

bool refers(const Report& report, std::string_view kind, std::string_view target) {
  return std::any_of(report.references.begin(), report.references.end(),
                     [&](const Reference& reference) {
                       return reference.kind == kind && reference.target == target;
                     });
}

TEST(Json, honest_objects_and_lines_are_clean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/json/corpus", "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_EQ(report.format, "json") << name;
    EXPECT_TRUE(report.complete()) << name << show(report);
  }
  for (const std::string& text: {"{}"s, "[]"s, "\xef\xbb\xbf{\"a\":NaN}"s, " [1]\n[2]\n"s}) {
    const Report report = scan_bytes(text);
    EXPECT_EQ(report.format, "json") << text;
    EXPECT_TRUE(is_clean(report) && report.findings.empty()) << text << show(report);
  }
}

TEST(Json, other_text_that_begins_with_a_bracket_is_not_json) {
  for (const std::string& text:
       {"{% if x %}{{ y }}{% endif %}"s, "[section]\na=1\n"s, "[1] a reference\n"s,
        "// C\nint x;\n"s, "{ block }"s, "[link](http://x)"s}) {
    const Report report = scan_bytes(text);
    EXPECT_NE(report.format, "json") << text;
    EXPECT_TRUE(is_clean(report)) << text << show(report);
  }
}

TEST(Json, a_cut_at_any_byte_is_a_gap_for_files_of_that_name) {
  const std::string whole = R"({"a": [1, {"b": "c"}], "d": true})";
  for (std::size_t n = 6; n < whole.size(); ++n) {
    const Report report = scan_bytes(whole.substr(0, n));
    ASSERT_FALSE(report.gaps.empty()) << n;
    EXPECT_NE(report.gaps[0].condition.find("*.json"), std::string::npos);
  }
}

TEST(Json, findings_outlive_a_broken_end) {
  const Report report = scan_bytes(R"({"x": {"_target_": "os.system"}, oops)");
  EXPECT_NE(find_rule(report, "config-dangerous-target"), nullptr) << show(report);
  EXPECT_TRUE(has_gap(report, Reason::malformed));
}

TEST(Json, resource_bombs) {
  const std::string deep(100'000, '[');
  EXPECT_NE(find_rule(scan_bytes(deep + std::string(100'000, ']')), "json-depth"), nullptr);
  EXPECT_EQ(find_rule(scan_bytes(std::string(500, '[') + std::string(500, ']')), "json-depth"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes("[" + std::string(5000, '9') + "]"), "json-number"), nullptr);
  EXPECT_EQ(find_rule(scan_bytes("[" + std::string(300, '9') + "]"), "json-number"), nullptr);
  const Report twice = scan_bytes(R"({"a": 1, "a": 2})");
  EXPECT_NE(find_rule(twice, "json-duplicate-key"), nullptr);
  EXPECT_TRUE(is_clean(twice));
}

TEST(Json, comments_are_read_over_and_hide_nothing) {
  const Report report = scan_bytes("{ // c\n \"x\": {\"_target_\": \"os.system\",},\n}");
  EXPECT_NE(find_rule(report, "config-dangerous-target"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "json-comments"), nullptr);
  EXPECT_TRUE(report.complete()) << show(report);
}

TEST(Json, auto_map_names_code_of_this_or_another_repository) {
  const Report own =
      scan_bytes(R"({"auto_map": {"AutoModel": "modeling_x.X", "T": ["t.A", null]}})");
  EXPECT_TRUE(is_clean(own)) << show(own);
  EXPECT_TRUE(refers(own, "code", "modeling_x.py"));
  EXPECT_TRUE(refers(own, "code", "t.py"));
  const Report other = scan_bytes(R"({"text_config": {"auto_map": {"AutoModel": "o/r--m.X"}}})");
  EXPECT_NE(find_rule(other, "config-remote-code"), nullptr);
  EXPECT_TRUE(refers(other, "remote-code", "o/r--m.X"));
  EXPECT_NE(
      find_rule(scan_bytes(R"({"auto_map": {"AutoModel": "../../x.X"}})"), "config-code-path"),
      nullptr);
}

TEST(Json, attention_kernels_and_trust) {
  EXPECT_NE(find_rule(scan_bytes(R"({"_attn_implementation_internal": "o/r"})"),
                      "config-attention-kernel"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(R"({"_attn_implementation": {"text_config": "mine"}})"),
                      "config-attention-unknown"),
            nullptr);
  EXPECT_TRUE(scan_bytes(R"({"_attn_implementation": "sdpa", "attn_implementation": null})")
                  .findings.empty());
  const Report trust = scan_bytes(R"({"a": {"trust_remote_code": true}})");
  EXPECT_NE(condition_of(trust, "config-trust-remote-code").find("config.json"), std::string::npos);
  EXPECT_TRUE(scan_bytes(R"({"trust_remote_code": false})").findings.empty());
}

TEST(Json, diffusers_components_and_module_lists) {
  const Report good = scan_bytes(
      R"({"_class_name": "P", "unet": ["diffusers", "U"], "s": [null, null], "c": ["stable_diffusion", "S"]})");
  EXPECT_TRUE(good.findings.empty()) << show(good);
  const Report bad = scan_bytes(R"({"unet": ["my_unet", "U"], "_class_name": ["pipe", "P"]})");
  EXPECT_EQ(condition_of(bad, "config-custom-module").find("*config*.json|model_index.json"), 0U);
  EXPECT_TRUE(refers(bad, "code", "unet/my_unet.py"));
  EXPECT_TRUE(refers(bad, "code", "pipe.py"));
  EXPECT_TRUE(scan_bytes(R"([{"idx": 0, "type": "sentence_transformers.models.Transformer"}])")
                  .findings.empty());
  EXPECT_EQ(condition_of(scan_bytes(R"([{"type": "custom_st.T"}])"), "config-custom-module"),
            "modules.json");
  EXPECT_NE(find_rule(scan_bytes(R"([{"type": "os.system"}])"), "config-dangerous-target"),
            nullptr);
}

TEST(Json, targets_are_judged_by_name_not_by_prefix) {
  const auto rule_of = [](std::string_view target) {
    const Report report = scan_bytes("{\"_target_\": \"" + std::string(target) + "\"}");
    return report.findings.empty() ? "" : report.findings[0].rule;
  };
  EXPECT_EQ(rule_of("torch.nn.Linear"), "");
  EXPECT_EQ(rule_of("nemo.collections.asr.modules.ConformerEncoder"), "");
  EXPECT_EQ(rule_of("builtins.exec"), "config-dangerous-target");
  EXPECT_EQ(rule_of("nemo.core.config.os.system"), "config-dangerous-target");
  EXPECT_EQ(rule_of("torch.nn.modules.torch.hub.load"), "config-dangerous-target");
  EXPECT_EQ(rule_of("my.own.Model"), "config-target");
  EXPECT_EQ(rule_of("a.__globals__.b"), "config-dangerous-target");
}

TEST(Json, shards_and_rows_stay_inside) {
  const Report good = scan_bytes(R"({"weight_map": {"w": "model-1.safetensors"}})");
  EXPECT_TRUE(good.findings.empty()) << show(good);
  EXPECT_TRUE(refers(good, "file", "model-1.safetensors"));
  for (const char* path:
       {"../x.bin", "/x.bin", "https://x/y.bin", "a/../../x", "%2e%2e/x", "..\\\\x"})
    EXPECT_NE(find_rule(scan_bytes("{\"weight_map\": {\"w\": \"" + std::string(path) + "\"}}"),
                        "config-shard-path"),
              nullptr)
        << path;
  EXPECT_EQ(condition_of(scan_bytes(R"({"weight_map": {"w": "x.bin"}})"), "config-shard-kind"),
            "*.safetensors.index*.json");
  EXPECT_NE(
      find_rule(scan_bytes("{\"file_name\": \"../../etc/passwd\"}\n"), "dataset-path-traversal"),
      nullptr);
  EXPECT_TRUE(scan_bytes(R"({"images": [{"file_name": "a/1.jpg", "img_path": "../b.jpg"}]})")
                  .findings.empty());
  EXPECT_NE(find_rule(scan_bytes(R"([{"img_path": "../../../../x"}])"), "dataset-annotation-path"),
            nullptr);
}

TEST(Json, blanks_and_depth_hide_nothing) {
  EXPECT_NE(find_rule(scan_bytes(std::string(10'000, ' ') + R"({"_target_": "os.system"})"),
                      "config-dangerous-target"),
            nullptr);
  std::string deep;
  for (int i = 0; i < 500; ++i)
    deep += R"({"a":)";
  EXPECT_NE(find_rule(scan_bytes(deep + R"({"_target_": "os.system"})" + std::string(500, '}')),
                      "config-dangerous-target"),
            nullptr);
}

TEST(Json, lines_of_any_length_follow_each_other) {
  std::string lines;
  for (const std::size_t n: {1UL, 100'000UL, 3UL, 5'000UL, 2UL})
    lines += "{\"a\": \"" + std::string(n, 'x') + "\"}\n";
  const Report report = scan_bytes(lines + R"({"file_name": "/x"})");
  EXPECT_TRUE(report.complete()) << show(report);
  EXPECT_NE(find_rule(report, "dataset-path-traversal"), nullptr);
}

TEST(Json, a_configuration_inside_a_string_is_read) {
  const Report report = scan_bytes(R"({"cfg": "{\"_target_\": \"os.system\"}"})");
  EXPECT_NE(find_rule(report, "config-dangerous-target"), nullptr) << show(report);
}

} // namespace
} // namespace hubgate
