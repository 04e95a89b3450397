#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/bson/corpus";

TEST(Bson, honest_files_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "bson") << name;
  }
}

TEST(Bson, every_rule_fires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_anonymous", "bson-julia-code"},
                                          {"bad_code", "bson-julia-code"},
                                          {"bad_name", "bson-julia-name"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
  }
}

TEST(Bson, is_never_clean_when_cut) {
  const auto files = test::corpus(k_corpus, "good_");
  for (const auto& [name, whole]: files)
    for (std::size_t n = 8; n < whole.size(); ++n)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << name << n;
}

} // namespace
} // namespace hubgate
