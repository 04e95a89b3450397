#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string model(const std::string& feature, const std::string& left, const std::string& leaves,
                  const std::string& names = "a b c") {
  return "tree\nversion=v4\nnum_class=1\nmax_feature_idx=2\nfeature_names=" + names +
         "\n\nTree=0\nnum_leaves=" + leaves + "\nnum_cat=0\nsplit_feature=" + feature +
         "\nthreshold=0.5 0.25\nleft_child=" + left +
         "\nright_child=-1 -3\nleaf_value=0.1 0.2 0.3\n\nend of trees\n\nparameters:\n[seed: 1]\n";
}

TEST(Lightgbm, trees_fit_their_numbers) {
  const Report good = scan_bytes(model("0 2", "1 -2", "3"));
  EXPECT_EQ(good.format, "lightgbm");
  EXPECT_TRUE(is_clean(good)) << show(good);
  for (const std::string& bad:
       {model("0 3", "1 -2", "3"), model("0 2", "7 -2", "3"), model("0 2", "1 -4", "3"),
        model("0 2", "1", "3"), model("0 2", "1 -2", "900000000"), model("0 2", "x -2", "3"),
        model("0 2", "1 -2", "-5")})
    EXPECT_NE(find_rule(scan_bytes(bad), "lightgbm-tree"), nullptr) << bad;
}

TEST(Lightgbm, free_text_is_scanned) {
  EXPECT_NE(
      find_rule(scan_bytes(model("0 2", "1 -2", "3", "a b os.system('echo')")), "embedded-script"),
      nullptr);
}

TEST(Lightgbm, other_text_is_not_claimed) {
  EXPECT_NE(scan_bytes("tree\nof life\n").format, "lightgbm");
}

} // namespace
} // namespace hubgate
