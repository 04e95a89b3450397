#include "scanner/formats/pytorch/storage.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/pytorch/corpus";

TEST(Pytorch, honest_checkpoints_are_clean_and_their_storages_not_opaque) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "pytorch") << name;
  }
}

TEST(Pytorch, is_never_clean_when_cut) {
  const std::string whole = test::corpus(k_corpus, "good_zip").at("good_zip");
  for (std::size_t n = 1; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(is_clean(report) && report.format != "text") << n << " " << show(report);
  }
}

TEST(Pytorch, every_rule_fires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_upper_case", "pytorch-record-name"},
                                          {"bad_pickle_in_storage", "pytorch-storage-pickle"},
                                          {"bad_missing_storage", "pytorch-storage-reference"},
                                          {"bad_wrong_size", "pytorch-storage-reference"},
                                          {"bad_torchscript", "pytorch-torchscript"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
    EXPECT_EQ(report.format, "pytorch") << name;
  }
}

TEST(Pytorch, knows_the_size_of_storages) {
  EXPECT_EQ(pytorch::item_size_of("torch.FloatStorage"), 4U);
  EXPECT_EQ(pytorch::item_size_of("torch.storage.UntypedStorage"), 1U);
  EXPECT_EQ(pytorch::item_size_of("torch.cuda.HalfStorage"), 2U);
  EXPECT_EQ(pytorch::item_size_of("torch.float8_e4m3fn"), 1U);
  EXPECT_EQ(pytorch::item_size_of("torch.load"), 0U);
  EXPECT_EQ(pytorch::item_size_of("os.FloatStorage"), 0U);
  const pytorch::Storage huge{.elements = ~std::uint64_t{0}, .item_size = 8};
  EXPECT_FALSE(huge.bytes());
}

} // namespace
} // namespace hubgate
