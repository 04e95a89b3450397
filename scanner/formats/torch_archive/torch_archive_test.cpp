#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/torch_archive/corpus";

TEST(TorchArchive, honest_archives_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(test::is_clean(report)) << name << show(report);
    EXPECT_EQ(report.format, "torch_archive") << name;
  }
}

TEST(TorchArchive, every_rule_fires) {
  const std::map<std::string, std::string> expected{{"bad_compiled", "pt2-compiled"},
                                                    {"bad_handler", "torchserve-code"},
                                                    {"bad_requirements", "torchserve-requirements"},
                                                    {"bad_path", "torchserve-path"}};
  for (const auto& [name, bytes]: test::corpus(k_corpus, "bad_"))
    EXPECT_NE(find_rule(scan_bytes(bytes), expected.at(name)), nullptr)
        << name << show(scan_bytes(bytes));
}

} // namespace
} // namespace hubgate
