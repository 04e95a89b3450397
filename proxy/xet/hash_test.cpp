#include "proxy/xet/hash.hpp"
#include "proxy/xet/vectors.hpp"

#include <gmock/gmock.h>

namespace hubgate::xet {
namespace {

std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}

std::string text_of(const boost::json::value& value) {
  return std::string(value.as_string());
}

Hash words(std::uint64_t first, std::uint8_t last) {
  Hash out;
  for (std::size_t i = 0; i < 8; ++i)
    out.bytes[i] = static_cast<std::uint8_t>(first >> (8 * i));
  out.bytes[24] = last;
  return out;
}

std::vector<Chunk> leaves(const std::string& rule, std::uint64_t n) {
  std::vector<Chunk> out;
  for (std::uint64_t i = 0; i < n; ++i) {
    if (rule == "chunks") {
      const Hash number = words(i, 0);
      out.push_back({chunk_hash(Bytes(number.bytes).first(8)), 8192 + (37 * i % 100'000)});
    } else {
      out.push_back({words(i, rule == "always_cut" ? 4 : 1), 1000 + i});
    }
  }
  return out;
}

TEST(Hash, IsWrittenInReversedWords) {
  const auto vector = vectors::json("hashes.json").at("text");
  const std::string raw = unhex(vector.at("raw").as_string());
  Hash hash;
  std::copy(raw.begin(), raw.end(), hash.bytes.begin());
  EXPECT_EQ(hash.text(), text_of(vector.at("string")));
  EXPECT_EQ(Hash::from_text(hash.text()), hash);
  EXPECT_EQ(hash.last_word(), 0x1f1e1d1c1b1a1918u);
}

TEST(Hash, ReadsNothingButSixtyFourDigits) {
  const std::string good(64, 'a');
  EXPECT_TRUE(Hash::from_text(good));
  EXPECT_TRUE(Hash::from_text(std::string(64, 'A')));
  for (const std::string& bad:
       {std::string(), good.substr(1), good + "a", "g" + good.substr(1), "-1" + good.substr(2),
        "+1" + good.substr(2), "0x" + good.substr(2), " 1" + good.substr(2)})
    EXPECT_FALSE(Hash::from_text(bad)) << bad;
}

TEST(Hash, OfASha256IsStoredReversed) {
  const Sha256 digest = sha256(as_bytes("hello"));
  EXPECT_EQ(stored_sha256(digest).text(), hex(digest));
  EXPECT_EQ(sha256_of(stored_sha256(digest)), digest);
  EXPECT_NE(stored_sha256(digest).bytes, digest);
}

TEST(Hash, OfChunks) {
  const auto all = vectors::json("hashes.json");
  ASSERT_FALSE(all.at("chunk").as_array().empty());
  for (const auto& vector: all.at("chunk").as_array())
    EXPECT_EQ(chunk_hash(as_bytes(unhex(vector.at("data").as_string()))).text(),
              text_of(vector.at("hash")));
}

TEST(Hash, OfLists) {
  const auto all = vectors::json("hashes.json");
  ASSERT_EQ(all.at("aggregate").as_array().size(), 32u);
  for (const auto& vector: all.at("aggregate").as_array()) {
    const auto n = vector.at("n").to_number<std::uint64_t>();
    const auto chunks = leaves(text_of(vector.at("rule")), n);
    EXPECT_EQ(xorb_hash(chunks).text(), text_of(vector.at("xorb"))) << n;
    EXPECT_EQ(file_id(chunks).text(), text_of(vector.at("file"))) << n;
  }
}

TEST(Hash, OfFiles) {
  const auto all = vectors::json("files.json");
  ASSERT_EQ(all.as_array().size(), 11u);
  for (const auto& vector: all.as_array()) {
    const std::string name = text_of(vector.at("name"));
    const std::string bytes = vectors::input(name);
    std::vector<Chunk> chunks;
    std::size_t at = 0;
    for (const auto& length: vector.at("lengths").as_array()) {
      const auto size = length.to_number<std::size_t>();
      chunks.push_back({chunk_hash(as_bytes(bytes).subspan(at, size)), size});
      at += size;
      EXPECT_EQ(chunks.back().hash.text(), text_of(vector.at("chunks").at(chunks.size() - 1)));
    }
    EXPECT_EQ(at, bytes.size()) << name;
    EXPECT_EQ(file_id(chunks).text(), text_of(vector.at("file"))) << name;
    EXPECT_EQ(xorb_hash(chunks).text(), text_of(vector.at("xorb"))) << name;
    if (!chunks.empty()) {
      EXPECT_EQ(range_hash(chunks).text(), text_of(vector.at("range"))) << name;
    }
  }
}

} // namespace
} // namespace hubgate::xet
