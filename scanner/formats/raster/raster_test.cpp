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
  return test::corpus("scanner/formats/raster/corpus", "good_");
}

TEST(Raster, every_kind_is_clean) {
  ASSERT_GE(good().size(), 14U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "raster") << name;
    EXPECT_TRUE(report.findings.empty()) << name << " " << show(report);
  }
}

TEST(Raster, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: good())
    for (std::size_t n = 12; n < bytes.size(); ++n) {
      const std::string_view cut = std::string_view(bytes).substr(0, n);
      // Without its areas and footer it is a file of the first version.
      if (name.find("tga") != std::string::npos && n + 26 == bytes.size()) continue;
      const Report report = scan_bytes(cut);
      // The headers of some are text.
      EXPECT_FALSE(is_clean(report) && report.format != "text") << name << " " << n << show(report);
      test::ArrivingSource arriving(as_bytes(cut));
      const Report later = scan_object(all_formats(), arriving, {}, nullptr);
      EXPECT_FALSE(is_clean(later) && later.format != "text") << name << " " << n << show(later);
    }
}

TEST(Raster, what_follows_the_end_is_an_object_of_its_own) {
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes + "\x01\x02\x03\x04\x05zz");
    EXPECT_FALSE(report.complete()) << name << " " << show(report);
    // A TGA is one only when it ends where it should; the box of a codestream may end the file.
    if (name.find("tga") != std::string::npos) continue;
    EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << name << " " << show(report);
  }
}

TEST(Raster, a_magic_alone_is_no_picture) {
  for (const std::string& magic:
       {"\0\0\0\x0cjP  \r\n\x87\n"s, "\xff\x4f\xff\x51\0"s, "qoif\0"s, "\x76\x2f\x31\x01\x02"s,
        "P5\n"s, "P7\n"s, "PF\n"s, "DDS \x7c\0\0\0"s}) {
    const Report report = scan_bytes(magic + std::string(500, '\x9d') + "\x01");
    EXPECT_FALSE(report.complete()) << magic << " " << show(report);
  }
}

TEST(Raster, boxes_that_no_decoder_reads_are_searched) {
  const std::string payload = "\0\0\0bash -i >& /dev/tcp/127.0.0.1/9 0>&1\0\0"s;
  std::string bytes = good()["good_jp2"];
  bytes += "\0\0\0"s + static_cast<char>(payload.size() + 8) + "uuid" + payload;
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "generic-script"), nullptr) << show(report);
}

TEST(Raster, no_byte_makes_it_crash) {
  for (const auto& [name, bytes]: good()) {
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::string broken = bytes;
      broken[n] = static_cast<char>(broken[n] ^ 0x5a);
      EXPECT_FALSE(has_gap(scan_bytes(broken), Reason::crash)) << name << n;
    }
  }
}

} // namespace
} // namespace hubgate
