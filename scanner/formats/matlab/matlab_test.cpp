#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/matlab/corpus";

TEST(Matlab, honest_files_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "matlab") << name;
  }
}

TEST(Matlab, every_rule_fires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_function_handle", "matlab-object"},
                                          {"bad_object", "matlab-object"},
                                          {"bad_java_object", "matlab-object"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
  }
}

// Between two variables a cut file is a whole one with fewer of them; the header alone is text.
TEST(Matlab, is_never_clean_when_cut_inside_of_a_variable) {
  for (const auto& [name, whole]: test::corpus(k_corpus, "good_")) {
    std::size_t clean = 0;
    for (std::size_t n = 128; n < whole.size(); ++n)
      clean += is_clean(scan_bytes(std::string_view(whole).substr(0, n))) ? 1 : 0;
    EXPECT_LE(clean, 4U) << name;
  }
}

} // namespace
} // namespace hubgate
