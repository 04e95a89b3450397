#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::map<std::string, std::string> good() {
  return test::corpus("scanner/formats/media/corpus", "good_");
}

TEST(Media, every_kind_is_clean) {
  ASSERT_GE(good().size(), 8U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "media") << name;
  }
}

TEST(Media, is_rarely_clean_when_cut) {
  for (const auto& [name, bytes]: good()) {
    std::size_t clean = 0;
    for (std::size_t n = 12; n < bytes.size(); ++n)
      clean += is_clean(scan_bytes(std::string_view(bytes).substr(0, n))) ? 1 : 0;
    // Cut between two elements, packets or frames a stream is whole.
    EXPECT_LE(clean, 8U) << name;
  }
}

TEST(Media, what_follows_the_end_is_an_object_of_its_own) {
  for (const char* name: {"good_avi", "good_au", "good_flv"}) {
    const Report report = scan_bytes(good()[name] + "\x81\x02\x03\x04\x05zz"s);
    EXPECT_FALSE(report.complete()) << name << " " << show(report);
  }
}

TEST(Media, a_magic_alone_is_no_media_file) {
  for (const std::string& magic:
       {"\x1a\x45\xdf\xa3\x84"s, "FLV\1"s, "\xff\xf1"s, "\x47"s, ".snd\0"s})
    EXPECT_FALSE(scan_bytes(magic + std::string(2000, '\x9d') + "\1").complete());
}

} // namespace
} // namespace hubgate
