#include "proxy/cache/tags.hpp"

#include <gtest/gtest.h>

#include <string>

namespace hubgate::proxy {
namespace {

// RFC 8439, 2.5.2.
TEST(Tags, ArePoly1305) {
  const std::array<std::uint8_t, 32> key = {0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33,
                                            0x7f, 0x44, 0x52, 0xfe, 0x42, 0xd5, 0x06, 0xa8,
                                            0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d, 0xb2, 0xfd,
                                            0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49, 0xf5, 0x1b};
  const Tag expected = {0xa8, 0x06, 0x1d, 0xc1, 0x30, 0x51, 0x36, 0xc6,
                        0xc2, 0x2b, 0x8b, 0xaf, 0x0c, 0x01, 0x27, 0xa9};
  const Tagger tagger(key);
  for (int round = 0; round < 2; ++round)
    EXPECT_EQ(tagger.of(as_bytes("Cryptographic Forum Research Group")), expected);
}

TEST(Tags, DifferByBytesLengthAndProcess) {
  const Tagger tagger;
  const Tagger other;
  const std::string bytes(k_tagged, 'a');
  std::string changed = bytes;
  changed[k_tagged / 2] ^= 1;
  const auto tag = tagger.of(as_bytes(bytes));
  ASSERT_TRUE(tag);
  EXPECT_EQ(tagger.of(as_bytes(bytes)), tag);
  EXPECT_NE(tagger.of(as_bytes(changed)), tag);
  EXPECT_NE(tagger.of(as_bytes(bytes).first(k_tagged - 1)), tag);
  EXPECT_NE(other.of(as_bytes(bytes)), tag);
  EXPECT_NE(tagger.of({}), tagger.of(as_bytes(std::string(1, '\0'))));
}

TEST(Tags, AreKnownPieceByPiece) {
  ObjectTags tags(k_tagged + 1);
  EXPECT_FALSE(tags.at(0));
  EXPECT_FALSE(tags.at(1));
  tags.set(1, Tag{7});
  EXPECT_FALSE(tags.at(0));
  EXPECT_EQ(tags.at(1), Tag{7});
  EXPECT_GE(tags.weight(), 2 * sizeof(Tag));
}

} // namespace
} // namespace hubgate::proxy
