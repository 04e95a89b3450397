#include "proxy/xet/vectors.hpp"
#include "proxy/xet/xorb.hpp"

#include <gmock/gmock.h>

namespace hubgate::xet {
namespace {

using testing::HasSubstr;

struct Read {
  Result<Xorb> xorb;
  std::string bytes;
};

Read read(std::string_view body) {
  std::string bytes;
  auto xorb = read_xorb(as_bytes(body), [&](const Chunk&, Bytes raw) -> Result<void> {
    bytes += as_text(raw);
    return {};
  });
  return {std::move(xorb), std::move(bytes)};
}

std::string error_of(std::string_view body) {
  const auto out = read(body).xorb;
  return out ? "" : out.error().message;
}

std::string le24(std::size_t n) {
  return {static_cast<char>(n & 0xff), static_cast<char>(n >> 8 & 0xff),
          static_cast<char>(n >> 16 & 0xff)};
}

std::string chunk(std::string_view stored, std::size_t raw, char scheme = 0) {
  return std::string(1, '\0') + le24(stored.size()) + scheme + le24(raw) + std::string(stored);
}

/// The first chunk of the text: LZ4.
std::string lz4_chunk() {
  const std::string body = vectors::file("text_400k.auto.footer.xorb");
  const auto header = read_chunk_header(as_bytes(body));
  return body.substr(0, ChunkHeader::k_size + header->stored);
}

TEST(Xorb, ReadsWhatClientsMake) {
  for (const auto& [name, input]: {
           std::pair{"tiny5.auto.footer.xorb", "tiny5"},
           std::pair{"rnd_8192.auto.footer.xorb", "rnd_8192"},
           std::pair{"zeros_300k.auto.footer.xorb", "zeros_300k"},
           std::pair{"zeros_300k.bg4-lz4.wire.xorb", "zeros_300k"},
           std::pair{"text_400k.auto.footer.xorb", "text_400k"},
           std::pair{"text_400k.bg4-lz4.wire.xorb", "text_400k"},
       }) {
    const auto out = read(vectors::file(name));
    ASSERT_TRUE(out.xorb) << name << ": " << out.xorb.error().message;
    EXPECT_EQ(out.bytes, vectors::input(input)) << name;
    EXPECT_EQ(out.xorb->chunks.size(), out.xorb->ends.size());
    bool found = false;
    const auto files = vectors::json("files.json");
    for (const auto& vector: files.as_array())
      if (vector.at("name").as_string() == input) {
        found = true;
        EXPECT_EQ(xorb_hash(out.xorb->chunks).text(), vector.at("xorb").as_string()) << name;
      }
    EXPECT_TRUE(found);
  }
}

TEST(Xorb, AFooterMustSayWhatTheChunksSay) {
  const std::string body = vectors::file("zeros_300k.auto.footer.xorb");
  const auto footer = body.find("XETBLOB");
  ASSERT_NE(footer, std::string::npos);
  EXPECT_TRUE(read(body.substr(0, footer)).xorb);
  const std::size_t nonce = body.size() - 4 - 16;
  for (std::size_t i = footer; i < body.size(); ++i) {
    std::string bad = body;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_EQ(read(bad).xorb.ok(), i >= nonce && i < nonce + 16) << i - footer;
  }
  for (std::size_t n = footer + 1; n < body.size(); ++n)
    EXPECT_FALSE(read(body.substr(0, n)).xorb) << n;
  EXPECT_FALSE(read(body + "x").xorb);
}

TEST(Xorb, OneCutShortIsRefused) {
  const std::string body = chunk("hello", 5) + lz4_chunk();
  for (std::size_t n = 1; n < body.size(); n += n < 40 ? 1 : 997)
    EXPECT_EQ(read(body.substr(0, n)).xorb.ok(), n == 13) << n;
  EXPECT_TRUE(read(body).xorb);
  EXPECT_TRUE(read("").xorb);
}

TEST(Xorb, WhatTheReferenceReadsInTwoWaysIsRefused) {
  const std::string good = lz4_chunk();
  const auto raw = read_chunk_header(as_bytes(good))->raw;
  const std::string frame = good.substr(ChunkHeader::k_size);
  ASSERT_TRUE(read(good).xorb);
  EXPECT_THAT(error_of(chunk(frame + "junk", raw, 1)), HasSubstr("bytes behind"));
  EXPECT_THAT(error_of(chunk(frame + frame, raw, 1)), HasSubstr("bytes behind"));
  EXPECT_THAT(error_of(chunk(frame, raw - 1, 1)), HasSubstr("more than"));
  EXPECT_THAT(error_of(chunk(frame, raw + 1, 1)), HasSubstr("less than"));
  EXPECT_THAT(error_of(chunk(frame.substr(0, frame.size() - 5), raw, 1)), HasSubstr("cut short"));
  EXPECT_THAT(error_of(chunk("hello", raw, 1)), HasSubstr("no LZ4 frame"));
  const std::string skippable("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8);
  EXPECT_THAT(error_of(chunk(skippable + frame, raw, 1)), HasSubstr("no LZ4 frame"));
  EXPECT_THAT(error_of(good + std::string("\0\1\2", 3)), HasSubstr("inside a chunk's header"));
}

TEST(Xorb, HeadersHaveBounds) {
  EXPECT_THAT(error_of("\x01" + chunk("hello", 5).substr(1)), HasSubstr("version 1"));
  EXPECT_THAT(error_of(chunk("hello", 5, 3)), HasSubstr("scheme 3"));
  EXPECT_THAT(error_of(chunk("hello", 6)), HasSubstr("two lengths"));
  EXPECT_THAT(error_of(chunk("", 0)), HasSubstr("0 bytes"));
  const std::string most(k_chunk_most, 'x');
  EXPECT_EQ(error_of(chunk(most, most.size())), "");
  EXPECT_THAT(error_of(chunk(most + "x", most.size() + 1)), HasSubstr("a chunk of 131073 bytes"));
  const std::string long_frame(k_stored_most + 1, 'x');
  EXPECT_THAT(error_of(chunk(long_frame, 5, 1)), HasSubstr("compressed chunk of 262145"));
}

TEST(Xorb, ChunksAreCounted) {
  std::string body;
  for (std::size_t i = 0; i < k_chunks_most; ++i)
    body += chunk("a", 1);
  EXPECT_TRUE(read(body).xorb);
  EXPECT_THAT(error_of(body + chunk("a", 1)), HasSubstr("8192 chunks"));
}

// Clients cut xorbs at 64 MiB of what is in the chunks; nothing that is random becomes smaller.
TEST(Xorb, A64MiBOfWhatCannotBeCompressedMayBeThere) {
  const std::string one = chunk(std::string(k_chunk_most, 'x'), k_chunk_most);
  std::string body;
  for (std::size_t raw = 0; raw < std::size_t{64} << 20; raw += k_chunk_most)
    body += one;
  EXPECT_EQ(error_of(body), "");
  EXPECT_THAT(error_of(body + one), HasSubstr("64 MiB"));
}

TEST(Xorb, ARangeHasNoFooter) {
  const auto keep = [](const Chunk&, Bytes) -> Result<void> { return {}; };
  const std::string body = vectors::file("tiny5.auto.footer.xorb");
  EXPECT_TRUE(read_chunks(as_bytes(body).first(13), keep));
  EXPECT_FALSE(read_chunks(as_bytes(body), keep));
}

TEST(Xorb, PlanesAreJoined) {
  const auto all = vectors::json("hashes.json");
  ASSERT_EQ(all.at("planes").as_array().size(), 18u);
  for (const auto& pair: all.at("planes").as_array()) {
    const auto bytes = [](const boost::json::value& text) {
      std::vector<std::uint8_t> out;
      for (std::size_t i = 0; i + 1 < text.as_string().size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(
            std::stoi(std::string(text.as_string().subview(i, 2)), nullptr, 16)));
      return out;
    };
    std::vector<std::uint8_t> raw;
    join_planes(bytes(pair.at(1)), raw);
    EXPECT_EQ(raw, bytes(pair.at(0)));
  }
}

} // namespace
} // namespace hubgate::xet
