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

std::string tokenizer(const std::string& vocabulary, const std::string& added = "",
                      const std::string& more = "") {
  return R"({"version": "1.0", "added_tokens": [)" + added + "]" + more +
         R"(, "model": {"type": "BPE", "vocab": )" + vocabulary + R"(, "merges": []}})";
}

TEST(Tokenizer, honest_files_are_clean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/tokenizer/corpus", "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_EQ(report.format, "tokenizer") << name;
    EXPECT_TRUE(is_clean(report) && report.findings.empty()) << name << show(report);
  }
  const Report other = scan_bytes(R"({"normalizer": {"type": "Replace"}, "model": {"x": 1}})");
  EXPECT_EQ(other.format, "json");
}

TEST(Tokenizer, ids_are_a_bijection) {
  EXPECT_NE(find_rule(scan_bytes(tokenizer(R"({"a": 1, "b": 1})")), "tokenizer-shared-id"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(tokenizer(R"({"a": 1, "a": 2})")), "tokenizer-two-ids"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(tokenizer(R"({"a": 1})", R"({"id": 1, "content": "x"})")),
                      "tokenizer-shared-id"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(tokenizer(R"({"a": 1})", R"({"id": 2, "content": "a"})")),
                      "tokenizer-two-ids"),
            nullptr);
  EXPECT_TRUE(
      scan_bytes(tokenizer(R"({"a": 1})", R"({"id": 1, "content": "a"})")).findings.empty());
  EXPECT_NE(find_rule(scan_bytes(tokenizer(R"({"a": -1})")), "tokenizer-id"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(tokenizer(R"({"a": 99999999})")), "tokenizer-id"), nullptr);
}

TEST(Tokenizer, templates_agree_with_the_vocabulary) {
  const std::string processor =
      R"(, "post_processor": {"special_tokens": {"<s>": {"id": "<s>", "ids": [ID], "tokens": ["<s>"]}}})";
  const auto with = [&](const std::string& id) {
    std::string text = processor;
    text.replace(text.find("ID"), 2, id);
    return scan_bytes(tokenizer(R"({"<s>": 0, "a": 1})", "", text));
  };
  EXPECT_NE(find_rule(with("1"), "tokenizer-two-ids"), nullptr);
  EXPECT_TRUE(with("0").findings.empty()) << show(with("0"));
}

TEST(Tokenizer, words_are_not_rewritten) {
  const auto with = [&](const std::string& pattern, const std::string& where) {
    return scan_bytes(tokenizer(
        R"({"a": 0})", "",
        ", \"" + where + R"(": {"type": "Sequence", "list": [{"type": "Replace", "pattern": )" +
            pattern + R"(, "content": "x"}]})"));
  };
  EXPECT_NE(find_rule(with(R"({"String": "refuse"})", "normalizer"), "tokenizer-rewrite"), nullptr);
  EXPECT_NE(find_rule(with(R"({"Regex": "(?i)unsafe"})", "decoder"), "tokenizer-rewrite"), nullptr);
  EXPECT_EQ(find_rule(with(R"({"String": "Cl"})", "normalizer"), "tokenizer-rewrite"), nullptr);
  EXPECT_EQ(find_rule(with(R"({"Regex": " {2,}"})", "normalizer"), "tokenizer-rewrite"), nullptr);
}

TEST(Tokenizer, a_cut_at_any_byte_is_no_tokenizer) {
  const std::string whole =
      test::corpus("scanner/formats/tokenizer/corpus", "good_bpe").begin()->second;
  for (std::size_t n = 1; n < whole.size(); ++n)
    EXPECT_NE(scan_bytes(whole.substr(0, n)).format, "tokenizer") << n;
}

} // namespace
} // namespace hubgate
