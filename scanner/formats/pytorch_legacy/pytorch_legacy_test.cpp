#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/pytorch_legacy/corpus";

TEST(PytorchLegacy, honest_checkpoints_are_clean_with_any_number_of_storages) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "pytorch-legacy") << name;
  }
}

TEST(PytorchLegacy, a_cut_storage_is_told) {
  const std::string whole = test::corpus(k_corpus, "good_stacked").at("good_stacked");
  for (std::size_t n = whole.size() - 24; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_NE(find_rule(report, "pytorch-legacy-storage"), nullptr) << n << " " << show(report);
  }
}

TEST(PytorchLegacy, a_count_that_differs_from_the_pickles_is_told) {
  const Report report = scan_bytes(test::corpus(k_corpus, "bad_count").at("bad_count"));
  EXPECT_NE(find_rule(report, "pytorch-legacy-storage"), nullptr) << show(report);
}

TEST(PytorchLegacy, an_exploit_in_place_of_the_magic_is_found) {
  for (const char* name: {"bad_magic_by_eval", "bad_magic_behind_a_call", "bad_legacy"}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << name << " " << show(report);
  }
}

TEST(PytorchLegacy, members_of_the_tar_are_accounted_for) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "member_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_EQ(find_rule(report, "trailing-data"), nullptr) << name << " " << show(report);
    EXPECT_TRUE(report.complete()) << name << " " << show(report);
  }
}

} // namespace
} // namespace hubgate
