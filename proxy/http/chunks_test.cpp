#include "proxy/http/chunks.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hubgate::proxy {
namespace {

struct Decoded {
  std::string body;
  bool done = false;
  bool failed = false;
  std::size_t used = 0;
};

// Feeds the pieces one after the other, with room for `room` bytes at a time.
Decoded decode(const std::vector<std::string_view>& pieces, std::size_t room) {
  ChunkDecoder decoder;
  Decoded out;
  std::vector<std::uint8_t> buffer(room);
  for (std::string_view piece: pieces) {
    while (!piece.empty() && !decoder.done() && !decoder.failed()) {
      const auto step = decoder.decode(as_bytes(piece), buffer);
      out.body.append(reinterpret_cast<const char*>(buffer.data()), step.produced);
      out.used += step.consumed;
      piece.remove_prefix(step.consumed);
    }
  }
  out.done = decoder.done();
  out.failed = decoder.failed();
  return out;
}

const std::string k_message =
    "5;name=\"v\"\r\nhello\r\nA\r\n 01234567\r\r\n0\r\nTrailer: x\r\n\r\nNEXT";

TEST(Chunks, decodes_a_message_cut_at_every_byte) {
  const std::size_t end = k_message.find("NEXT");
  for (std::size_t cut = 0; cut <= k_message.size(); ++cut) {
    for (const std::size_t room: {std::size_t{1}, std::size_t{3}, std::size_t{64}}) {
      const std::string_view text = k_message;
      const Decoded whole = decode({text.substr(0, cut), text.substr(cut)}, room);
      EXPECT_TRUE(whole.done && !whole.failed) << cut;
      EXPECT_EQ(whole.body, "hello 01234567\r") << cut;
      EXPECT_EQ(whole.used, end) << cut;
      const Decoded part = decode({text.substr(0, cut)}, room);
      EXPECT_FALSE(part.failed) << cut;
      EXPECT_EQ(part.done, cut >= end) << cut;
    }
  }
}

TEST(Chunks, refuses_what_others_might_read_otherwise) {
  for (const char* text:
       {"\r\n", "g\r\n", "-1\r\n", "+1\r\na\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\na\n0\n\n",
        "1\r\nab\r\n", "1\r\na\n", "1\r\na\r1", "10000000000000000\r\n", "ffffffffffffffffff\r\n",
        "1;\n\r\na\r\n", "0\r\n folded\r\n\r\n", "0\r\nT: a\nb\r\n\r\n", "0\r\n\ra"}) {
    const Decoded out = decode({text}, 16);
    EXPECT_TRUE(out.failed) << text;
    EXPECT_FALSE(out.done) << text;
  }
}

TEST(Chunks, bounds_extensions_and_trailers) {
  EXPECT_TRUE(decode({"1;" + std::string(1000, 'x') + "\r\na\r\n"}, 16).failed);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 4000; ++i)
    trailers += "A: b\r\n";
  EXPECT_TRUE(decode({trailers}, 16).failed);
}

TEST(Chunks, writes_sizes_in_hex) {
  EXPECT_EQ(chunk_head(255), "ff\r\n");
}

} // namespace
} // namespace hubgate::proxy
