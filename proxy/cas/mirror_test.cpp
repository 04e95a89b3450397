// How a file whose chunks are known is offered: what a client makes of it are the file's bytes.
#include "proxy/cas/mirror.hpp"

#include "proxy/cas/layout.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

/// A file of chunks of 1, 2, 3 … bytes.
struct Example {
  explicit Example(std::size_t count) {
    std::vector<xet::Chunk> list;
    for (std::size_t i = 0; i < count; ++i) {
      pieces.emplace_back(i + 1, static_cast<char>('a' + i % 26));
      file += pieces.back();
      list.push_back({xet::chunk_hash(as_bytes(pieces.back())), i + 1});
    }
    chunks = std::make_shared<const KnownChunks>(list);
  }
  std::vector<std::string> pieces;
  std::string file;
  std::shared_ptr<const KnownChunks> chunks;

  std::optional<Mirror> mirror(std::vector<CasPart> parts, std::uint64_t begin) const {
    return Mirror::make(std::move(parts), sha256(as_bytes(file)), chunks, begin, file.size() - 1);
  }
  /// A part of the mirror as it is served.
  std::vector<std::uint8_t> served(const Mirror::Part& part) const {
    std::vector<std::uint8_t> out;
    for (std::size_t i = part.first; i < part.first + part.count; ++i)
      append_stored(as_bytes(pieces[i]), out);
    return out;
  }
  /// What a client makes of the answer for a range.
  std::string pulled(const Mirror& mirror, const ByteRange& range) const {
    const auto plan =
        mirror.reconstruction(range, [](std::size_t part) { return std::to_string(part); });
    const auto text = boost::json::serialize(xet::to_json(plan, xet::Shape::v1));
    EXPECT_TRUE(xet::read_reconstruction(text, xet::Shape::v1));
    std::string out;
    for (const auto& term: plan.terms) {
      const auto& fetch = plan.fetches.at(term.xorb).front();
      const auto& part = mirror.parts[std::stoull(fetch.url)];
      const auto xorb = served(part);
      EXPECT_EQ(xorb.size(), mirror.stored_bytes(part));
      const std::size_t before = out.size();
      const Bytes asked = Bytes(xorb).subspan(
          static_cast<std::size_t>(fetch.ranges.front().first),
          static_cast<std::size_t>(fetch.ranges.front().last - fetch.ranges.front().first + 1));
      EXPECT_TRUE(xet::read_chunks(asked, [&](const xet::Chunk&, Bytes raw) -> Result<void> {
        out += as_text(raw);
        return {};
      }));
      EXPECT_EQ(out.size() - before, term.bytes);
    }
    return out.substr(static_cast<std::size_t>(plan.offset_into_first_range),
                      static_cast<std::size_t>(range.length()));
  }
};

CasPart part(std::uint32_t first, std::uint32_t end, std::vector<xet::ChunkRange> wanted) {
  return {"url", 0, 99, first, end, std::move(wanted)};
}

TEST(Mirror, GivesEveryRangeOfTheFile) {
  const Example example(9);
  // Chunks that are of no use lie between those of the second part.
  const auto mirror = example.mirror(
      {part(0, 4, {{0, 4}}), part(10, 20, {{11, 13}, {15, 17}}), part(2, 3, {{2, 3}})}, 0);
  ASSERT_TRUE(mirror);
  for (std::uint64_t first = 0; first < example.file.size(); ++first)
    for (std::uint64_t last = first; last < example.file.size(); ++last)
      ASSERT_EQ(example.pulled(*mirror, {first, last}),
                example.file.substr(static_cast<std::size_t>(first),
                                    static_cast<std::size_t>(last - first + 1)));
}

TEST(Mirror, MayBeginInTheMiddle) {
  const Example example(9);
  const auto mirror = example.mirror({part(4, 9, {{4, 9}})}, 10); // 1 + 2 + 3 + 4
  ASSERT_TRUE(mirror);
  EXPECT_EQ(example.pulled(*mirror, {12, 30}), example.file.substr(12, 19));
}

TEST(Mirror, IsMadeOfKnownChunksOnly) {
  const Example example(9);
  EXPECT_FALSE(example.mirror({part(0, 9, {{0, 9}})}, 2)); // inside a chunk
  EXPECT_FALSE(example.mirror({part(0, 8, {{0, 8}})}, 0)); // too few
  EXPECT_FALSE(example.mirror({part(0, 9, {{0, 9}}), part(0, 1, {{0, 1}})}, 0));
  EXPECT_FALSE(example.mirror({part(0, 9, {{0, 9}})}, example.file.size()));
}

TEST(KnownChunks, CompareBytesAndLength) {
  const Example example(3);
  EXPECT_TRUE(example.chunks->matches(1, as_bytes("bb")));
  EXPECT_FALSE(example.chunks->matches(1, as_bytes("bc")));
  EXPECT_FALSE(example.chunks->matches(1, as_bytes("b")));
  EXPECT_FALSE(example.chunks->matches(3, as_bytes("dddd")));
  EXPECT_EQ(example.chunks->at(2), 1u);
  EXPECT_EQ(example.chunks->at(3), 2u);
  EXPECT_EQ(example.chunks->at(6), 3u);
}

} // namespace
} // namespace hubgate::proxy
