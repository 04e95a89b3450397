#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/joblib/corpus";

TEST(Joblib, honest_files_are_clean_and_called_joblib) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "joblib") << name;
  }
}

TEST(Joblib, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 12; n < bytes.size(); ++n) {
      // The checksum of a zlib stream is not part of the pickle.
      const Report report = scan_bytes(std::string_view(bytes).substr(0, n));
      EXPECT_FALSE(is_clean(report) && report.format != "text") << name << " " << n << show(report);
    }
}

TEST(Joblib, every_rule_fires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_call_behind_array", "pickle-dangerous-call"},
                                          {"bad_traversal", "joblib-companion-path"},
                                          {"bad_companion", "joblib-companion-file"},
                                          {"bad_zf", "joblib-zf"},
                                          {"bad_call_in_object_array", "joblib-object-array"},
                                          {"bad_file_of_a_memmap", "joblib-memmap"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
    EXPECT_FALSE(is_clean(report)) << name;
  }
}

} // namespace
} // namespace hubgate
