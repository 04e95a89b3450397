#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

// Written by onnxruntime itself: a model with one operator.
std::string good() {
  return test::corpus("scanner/formats/ort/corpus", "good_acos").begin()->second;
}

TEST(Ort, what_the_runtime_writes_is_clean) {
  const Report report = scan_bytes(good());
  EXPECT_EQ(report.format, "ort");
  EXPECT_TRUE(is_clean(report)) << show(report);
}

TEST(Ort, the_rules_of_onnx_hold) {
  std::string bytes = good();
  const std::size_t at = bytes.find("Acos");
  ASSERT_NE(at, std::string::npos);
  for (std::size_t i = bytes.find("Acos"); i != std::string::npos; i = bytes.find("Acos", i + 4))
    bytes.replace(i, 4, "PyOp");
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "onnx-python-operator"), nullptr) << show(report);
}

TEST(Ort, is_never_clean_when_its_tables_are_cut) {
  const std::string whole = good();
  std::size_t clean = 0;
  for (std::size_t n = 8; n < whole.size(); ++n)
    clean += is_clean(scan_bytes(whole.substr(0, n))) ? 1U : 0U;
  // The last table holds kernels' types, which nothing looks at.
  EXPECT_LT(clean, whole.size() / 2);
  EXPECT_FALSE(is_clean(scan_bytes(whole.substr(0, whole.size() / 4))));
}

} // namespace
} // namespace hubgate
