#include "scanner/formats/audio/audio.hpp"
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
  return test::corpus("scanner/formats/audio/corpus", "good_");
}

TEST(Audio, every_kind_is_clean) {
  ASSERT_GE(good().size(), 7U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "audio") << name;
    EXPECT_TRUE(report.findings.empty()) << name << " " << show(report);
  }
}

TEST(Audio, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: good()) {
    // Streams of frames have no stated end: cut between two frames they are whole.
    if (name == "good_mp3") continue;
    for (std::size_t n = 1; n < bytes.size(); ++n) {
      if (name == "good_mp4" && n >= bytes.size() - 58) continue; // mdat is a box like any other
      const Report report = scan_bytes(std::string_view(bytes).substr(0, n));
      EXPECT_FALSE(is_clean(report) && report.format != "text") << name << " " << n << show(report);
    }
  }
}

TEST(Audio, mpeg_cut_inside_a_frame_is_truncated) {
  const std::string bytes = good()["good_mp3"];
  std::size_t clean = 0;
  for (std::size_t n = bytes.size() - 60; n < bytes.size(); ++n)
    clean += is_clean(scan_bytes(std::string_view(bytes).substr(0, n))) ? 1 : 0;
  EXPECT_LE(clean, 1U);
}

TEST(Audio, what_follows_the_end_is_an_object_of_its_own) {
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes + "\x01\x02\x03\x04\x05zz");
    EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << name << " " << show(report);
    EXPECT_FALSE(report.complete()) << name;
  }
}

TEST(Audio, a_magic_alone_is_no_audio) {
  for (const std::string& magic:
       {"RIFF\x10\0\0\0WAVE"s, "fLaC"s, "OggS\0"s, "ID3\x04\0\0\0\0\0\0"s, "\xff\xfb\x90\x64"s,
        "\0\0\0\x14"
        "ftypM4A "s}) {
    const Report report = scan_bytes(magic + std::string(500, '\x9d') + "\x01");
    EXPECT_FALSE(report.complete()) << magic << " " << show(report);
  }
}

TEST(Audio, knows_the_length_of_mpeg_frames) {
  const auto length = [](const std::string& header) {
    return audio::mpeg_frame_length(as_bytes(header));
  };
  EXPECT_EQ(length("\xff\xfb\x90\x64"), 417U);  // 128 kbit/s, 44.1 kHz
  EXPECT_EQ(length("\xff\xfb\x92\x64"), 418U);  // padded
  EXPECT_EQ(length("\xff\xf3\x80\xc4"s), 208U); // version 2, 64 kbit/s, 22.05 kHz
  EXPECT_EQ(length("\xff\xfb\xf0\x64"), 0U);
}

} // namespace
} // namespace hubgate
