#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::map<std::string, std::string> good() {
  return test::corpus("scanner/formats/orc/corpus", "good_");
}

TEST(Orc, every_codec_is_clean) {
  ASSERT_GE(good().size(), 3U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "orc") << name;
  }
}

TEST(Orc, no_cut_and_no_byte_makes_it_crash) {
  for (const auto& [name, bytes]: good()) {
    for (std::size_t n = 0; n < bytes.size(); n += 3) {
      std::string broken = bytes;
      broken[n] = static_cast<char>(broken[n] ^ 0x5a);
      EXPECT_FALSE(has_gap(scan_bytes(broken), Reason::crash)) << name << n;
      EXPECT_FALSE(has_gap(scan_bytes(bytes.substr(0, n)), Reason::crash)) << name << n;
    }
  }
}

TEST(Orc, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: good())
    for (std::size_t n = 16; n < bytes.size(); ++n) { // a few letters are text
      const std::string_view cut = std::string_view(bytes).substr(0, n);
      EXPECT_FALSE(is_clean(scan_bytes(cut))) << name << " " << n;
      test::ArrivingSource arriving(as_bytes(cut));
      EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << name << " " << n;
    }
}

// One stripe of one region, nothing packed.
std::string plain(const std::string& data, char begin = 3) {
  const std::string stripe =
      "\x08"s + begin + "\x10"s + '\0' + "\x18"s + static_cast<char>(data.size()) + "\x20"s + '\0';
  const std::string footer = "\x1a"s + static_cast<char>(stripe.size()) + stripe;
  const std::string postscript =
      "\x08"s + static_cast<char>(footer.size()) + "\x10"s + '\0' + "\x82\xf4\x03\x03ORC";
  return "ORC" + data + footer + postscript + static_cast<char>(postscript.size());
}

TEST(Orc, stripes_are_searched) {
  EXPECT_TRUE(is_clean(scan_bytes(plain("hello")))) << show(scan_bytes(plain("hello")));
  const Report report = scan_bytes(plain("\0bash -i >& /dev/tcp/127.0.0.1/9 0>&1\0"s));
  EXPECT_NE(find_rule(report, "generic-script"), nullptr) << show(report);
}

TEST(Orc, a_stripe_elsewhere_is_told) {
  EXPECT_NE(find_rule(scan_bytes(plain("hello", 60)), "orc-structure"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(plain("hello", 0)), "orc-structure"), nullptr);
}

} // namespace
} // namespace hubgate
