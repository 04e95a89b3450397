#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

TEST(Playlist, files_outside_are_told) {
  for (const char* text:
       {"#EXTM3U\nfile:///etc/passwd\n", "#EXTM3U\n/etc/passwd", "#EXTM3U\r\n..\\..\\x\r\n",
        "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"file:///x\"\na.ts\n",
        "ffconcat version 1.0\nfile '../x'\n", "[playlist]\nFile1=C:\\x\\y\n"})
    EXPECT_NE(find_rule(scan_bytes(text), "playlist-local-file"), nullptr) << text;
  EXPECT_NE(find_rule(scan_bytes("#EXTM3U\nconcat:http://x/y|file:///z\n"), "playlist-protocol"),
            nullptr);
}

TEST(Playlist, files_beside_and_addresses_are_references) {
  const Report report = scan_bytes("#EXTM3U\n#EXTINF:1,\na.ts\nhttps://x/b.ts\n");
  EXPECT_TRUE(report.findings.empty()) << show(report);
  ASSERT_EQ(report.references.size(), 2U);
  EXPECT_EQ(report.references[0].kind, "file");
  EXPECT_EQ(report.references[1].kind, "url");
  EXPECT_EQ(report.format, "playlist");
}

} // namespace
} // namespace hubgate
