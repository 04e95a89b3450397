#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/xgboost_binary/corpus";

// Of good_trees, as xgboost 2.1 wrote it.
constexpr std::size_t k_trees = 0xb1;
constexpr std::size_t k_nodes = 0x1e5;

std::string changed(std::size_t at, std::uint32_t value) {
  std::string out = test::corpus(k_corpus, "good_trees").at("good_trees");
  for (unsigned i = 0; i < 4; ++i)
    out[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

TEST(XgboostBinary, HonestModelsAreClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "xgboost_binary") << name;
    EXPECT_TRUE(report.findings.empty()) << name << " " << show(report);
  }
}

TEST(XgboostBinary, TreesStayInside) {
  for (const auto& bytes:
       {changed(k_nodes + 4, 3), changed(k_nodes + 8, 0x7fffffff), changed(k_nodes + 4, 0),
        changed(k_nodes + 12, 6), changed(k_nodes + 20, 9), changed(k_trees, 0x7fffffff),
        changed(k_trees + 164, 0xfffffff0)})
    EXPECT_NE(find_rule(scan_bytes(bytes), "xgboost-tree"), nullptr) << show(scan_bytes(bytes));
  EXPECT_TRUE(is_clean(scan_bytes(changed(k_nodes + 12, 5 | 0x80000000U))));
}

TEST(XgboostBinary, ACutIsNeverClean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 16; n < bytes.size(); ++n)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << n;
}

TEST(XgboostBinary, AttributesAreScanned) {
  std::string bytes = test::corpus(k_corpus, "good_trees").at("good_trees");
  const std::string pickle = "cos\nsystem\n(S'echo hubgate-inert-marker'\ntR.";
  const std::size_t value = bytes.rfind("{\"name\"");
  bytes =
      bytes.substr(0, value - 8) + static_cast<char>(pickle.size()) + std::string(7, '\0') + pickle;
  EXPECT_NE(find_rule(scan_bytes(bytes), "pickle-dangerous-call"), nullptr)
      << show(scan_bytes(bytes));
}

} // namespace
} // namespace hubgate
