#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <array>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

struct Wide {
  unsigned width;
  bool little;
  bool mark;
};
constexpr std::array<Wide, 8> k_all{{{2, true, true},
                                     {2, false, true},
                                     {4, true, true},
                                     {4, false, true},
                                     {2, true, false},
                                     {2, false, false},
                                     {4, true, false},
                                     {4, false, false}}};

std::string wide(std::u32string_view text, Wide as) {
  std::string out;
  const auto put = [&](std::uint32_t c) {
    for (unsigned i = 0; i < as.width; ++i)
      out += static_cast<char>(c >> 8 * (as.little ? i : as.width - 1 - i));
  };
  if (as.mark) put(0xfeff);
  for (const char32_t c: text)
    put(c);
  return out;
}

// json.loads() takes bytes in each of these: the config.json of a .keras is read so.
TEST(WideText, ConfigurationsAreReadInEveryEncodingThatLoadersTake) {
  for (const Wide& as: k_all) {
    const Report bad =
        scan_bytes(wide(UR"({"class_name": "Sequential", "config": {"layers": [{"module": "os",
                  "class_name": "system", "config": {"command": "id"}}]}})",
                        as));
    EXPECT_NE(find_rule(bad, "keras-arbitrary-import"), nullptr) << show(bad);
    const Report good = scan_bytes(wide(U"{\"a\": [1, \"gr\u00fcn \u6f22\"]}", as));
    EXPECT_TRUE(is_clean(good)) << show(good);
  }
}

TEST(WideText, ScriptsOfWindowsAreRead) {
  const Report report = scan_bytes(
      wide(U"iex (New-Object Net.WebClient).DownloadString('http://127.0.0.1/x')\r\n", k_all[0]));
  EXPECT_FALSE(report.findings.empty()) << show(report);
}

TEST(WideText, NumbersAreNoText) {
  std::string numbers;
  for (int i = 0; i < 500; ++i)
    numbers += std::string{static_cast<char>('{' + i), '\0'};
  EXPECT_FALSE(is_clean(scan_bytes(numbers)));
  EXPECT_FALSE(is_clean(scan_bytes(wide(U"{\"a\": 1}", k_all[4]) + "x")));
}

} // namespace
} // namespace hubgate
