#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/executorch/corpus";

TEST(Executorch, honest_programs_and_modules_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(test::is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "executorch") << name;
  }
}

TEST(Executorch, offsets_that_lead_out_are_told) {
  for (const auto& [name, whole]: test::corpus(k_corpus, "good_")) {
    std::string bytes = whole;
    bytes[3] = '\x7f';
    EXPECT_NE(find_rule(scan_bytes(bytes), "executorch-structure"), nullptr) << name;
    EXPECT_FALSE(test::is_clean(scan_bytes(whole.substr(0, whole.size() / 2)))) << name;
  }
}

TEST(Executorch, operators_are_judged) {
  std::string bytes = test::corpus(k_corpus, "good_mobile").at("good_mobile");
  const std::size_t at = bytes.find("aten::softmax");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 10, std::string("aten::save"));
  bytes[at + 10] = '\0';
  EXPECT_NE(find_rule(scan_bytes(bytes), "pytorch-script-effect"), nullptr)
      << show(scan_bytes(bytes));
}

} // namespace
} // namespace hubgate
