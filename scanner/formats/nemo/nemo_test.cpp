#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string member(const std::string& name, const std::string& data) {
  std::string header(512, '\0');
  const auto put = [&header](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  const auto octal = [](std::size_t value, int width) {
    std::string out(static_cast<std::size_t>(width), '0');
    for (std::size_t i = out.size(); i-- > 0; value /= 8)
      out[i] = static_cast<char>('0' + value % 8);
    return out;
  };
  put(0, name);
  put(100, octal(0644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(data.size(), 11));
  put(136, octal(0, 11));
  put(148, "        ");
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  std::size_t sum = 0;
  for (const char c: header)
    sum += static_cast<std::uint8_t>(c);
  put(148, octal(sum, 6));
  header[154] = '\0';
  std::string out = header + data;
  out.resize((out.size() + 511) / 512 * 512, '\0');
  return out;
}

const std::string k_end(1024, '\0');

TEST(Nemo, an_honest_archive_is_clean) {
  const Report report = scan_bytes(
      member("./model_config.yaml", "target: nemo.collections.asr.models.EncDecCTCModel\n") +
      member("./model_weights.ckpt", "text that stands for weights\n") + k_end);
  EXPECT_EQ(report.format, "nemo") << show(report);
  EXPECT_TRUE(is_clean(report)) << show(report);
}

TEST(Nemo, targets_are_judged_inside) {
  const Report report = scan_bytes(member("model_config.yaml", "a:\n  _target_: os.system\n") +
                                   member("model_weights.ckpt", "weights\n") + k_end);
  const Finding* finding = find_rule(report, "config-dangerous-target");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_EQ(finding->where, "model_config.yaml");
}

TEST(Nemo, two_configurations_and_other_tars) {
  const std::string config = member("model_config.yaml", "a: 1\n");
  EXPECT_NE(find_rule(scan_bytes(config + member("a/model_config.yaml", "a: 1\n") +
                                 member("x.ckpt", "weights\n") + k_end),
                      "nemo-two-configs"),
            nullptr);
  EXPECT_EQ(scan_bytes(member("a.txt", "a\n") + k_end).format, "tar");
  EXPECT_EQ(scan_bytes(config + k_end).format, "tar");
}

} // namespace
} // namespace hubgate
