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
  return test::corpus("scanner/formats/image/corpus", "good_");
}

TEST(Image, every_kind_is_clean) {
  ASSERT_GE(good().size(), 7U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "image") << name;
    EXPECT_TRUE(report.findings.empty()) << name << " " << show(report);
  }
}

TEST(Image, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: good())
    for (std::size_t n = 1; n < bytes.size(); ++n) {
      const Report report = scan_bytes(std::string_view(bytes).substr(0, n));
      // Fewer bytes than any magic may be text.
      EXPECT_FALSE(is_clean(report) && report.format != "text") << name << " " << n << show(report);
    }
}

TEST(Image, what_follows_the_end_is_an_object_of_its_own) {
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes + "\x01\x02\x03\x04\x05zz");
    EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << name << " " << show(report);
    EXPECT_FALSE(report.complete()) << name;
  }
}

TEST(Image, a_magic_alone_is_no_image) {
  for (const std::string& magic: {"\x89PNG\r\n\x1a\n"s, "\xff\xd8\xff"s, "GIF89a"s, "BM"s, "II*\0"s,
                                  "\0\0\1\0"s, "RIFF\x10\0\0\0WEBP"s}) {
    const Report report = scan_bytes(magic + std::string(500, '\x9d') + "\x01");
    EXPECT_FALSE(report.complete()) << magic << " " << show(report);
  }
}

TEST(Image, a_png_chunk_with_a_wrong_checksum_is_malformed) {
  std::string bytes = good()["good_png"];
  bytes[45] = static_cast<char>(bytes[45] ^ 1);
  EXPECT_TRUE(has_gap(scan_bytes(bytes), Reason::malformed));
}

TEST(Image, private_chunks_are_scanned) {
  // Exif and comments are for viewers; an unknown application segment is for somebody else.
  std::string bytes = good()["good_jpeg"];
  const std::string payload = "\0\0\0bash -i >& /dev/tcp/127.0.0.1/9 0>&1\0\0"s;
  bytes.insert(2, "\xff\xe9"s + '\0' + static_cast<char>(payload.size() + 2) + payload);
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "generic-script"), nullptr) << show(report);
}

TEST(Image, directories_that_point_at_each_other_end) {
  const std::string loop =
      "II*\0\x08\0\0\0"s + "\x01\0"s + "\0\x01\x03\0\x01\0\0\0\x01\0\0\0"s + "\x08\0\0\0"s;
  EXPECT_FALSE(scan_bytes(loop).complete());
}

} // namespace
} // namespace hubgate
