#include "scanner/core/flatbuffer.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

// A root table at 16 with vtable at 4: field 0 a u32, 1 a string, 2 a vector of tables, 3 absent.
struct Sample {
  std::string bytes;
  void u16(std::uint16_t v) {
    bytes += static_cast<char>(v & 255);
    bytes += static_cast<char>(v >> 8);
  }
  void u32(std::uint32_t v) {
    u16(static_cast<std::uint16_t>(v & 0xffff));
    u16(static_cast<std::uint16_t>(v >> 16));
  }
  Sample() {
    u32(16);                                             // 0: root at 16
    u16(12), u16(16), u16(4), u16(8), u16(12);           // 4: vtable
    u16(0);                                              // 14: field 3 is absent
    u32(12), u32(7), u32(8), u32(12);                    // 16: table; string at 32, vector at 40
    u32(3), bytes.append("abc\0", 4);                    // 32
    u32(1), u32(4);                                      // 40: one table, at 48
    u32(static_cast<std::uint32_t>(-8)), u16(0), u16(0); // 48: its vtable is at 56
    u16(4), u16(4);                                      // 56
  }
};

TEST(Flatbuffer, reads_tables_strings_and_vectors) {
  const Sample sample;
  MemorySource source(as_bytes(sample.bytes));
  Flatbuffer buffer(source, 0, sample.bytes.size());
  const auto root = buffer.root();
  ASSERT_TRUE(root);
  EXPECT_EQ(buffer.number<std::uint32_t>(*root, 0, 0), 7u);
  EXPECT_EQ(buffer.number<std::uint32_t>(*root, 3, 42), 42u);
  EXPECT_EQ(buffer.number<std::uint32_t>(*root, 9, 43), 43u);
  EXPECT_EQ(buffer.string(*root, 1, 100), "abc");
  EXPECT_EQ(buffer.string(*root, 1, 2), "ab");
  const auto tables = buffer.vector(*root, 2, 4);
  ASSERT_TRUE(tables);
  EXPECT_EQ(tables->count, 1u);
  EXPECT_TRUE(buffer.table_at(*tables, 0));
  EXPECT_FALSE(buffer.table_at(*tables, 1));
  EXPECT_EQ(buffer.failure(), FlatFailure::none);
  EXPECT_EQ(buffer.reached(), sample.bytes.size());
}

TEST(Flatbuffer, a_cut_never_reads_beyond) {
  const Sample sample;
  for (std::size_t n = 0; n < sample.bytes.size(); ++n) {
    MemorySource source(as_bytes(sample.bytes).first(n));
    for (const std::uint64_t size: {std::uint64_t{n}, std::uint64_t{sample.bytes.size()}}) {
      Flatbuffer buffer(source, 0, size);
      const auto root = buffer.root();
      const auto tables = root ? buffer.vector(*root, 2, 4) : std::nullopt;
      if (root) buffer.string(*root, 1, 100);
      if (tables) buffer.table_at(*tables, 0);
      EXPECT_NE(buffer.failure(), FlatFailure::none) << n;
    }
  }
}

TEST(Flatbuffer, every_offset_is_checked) {
  const Sample good;
  // Position of a word or half-word, and what it is broken to.
  const std::pair<std::size_t, std::uint8_t> breaks[] = {
      {3, 0x7f},  {4, 3},     {4, 200},   {6, 255},   {8, 200},   {8, 13}, {19, 0x80},
      {27, 0x7f}, {35, 0x7f}, {43, 0x40}, {47, 0xff}, {51, 0x80}, {0, 0},
  };
  for (const auto& [at, value]: breaks) {
    std::string bytes = good.bytes;
    bytes[at] = static_cast<char>(value);
    MemorySource source(as_bytes(bytes));
    Flatbuffer buffer(source, 0, bytes.size());
    if (const auto root = buffer.root()) {
      buffer.number<std::uint32_t>(*root, 0, 0);
      buffer.string(*root, 1, 100);
      if (const auto tables = buffer.vector(*root, 2, 4)) buffer.table_at(*tables, 0);
    }
    EXPECT_EQ(buffer.failure(), FlatFailure::bounds) << at;
  }
}

TEST(Flatbuffer, steps_end) {
  const Sample sample;
  MemorySource source(as_bytes(sample.bytes));
  Flatbuffer buffer(source, 0, sample.bytes.size(), 40);
  for (int i = 0; i < 100; ++i)
    buffer.root();
  EXPECT_EQ(buffer.failure(), FlatFailure::limit);
}

TEST(Flatbuffer, lies_anywhere_in_its_source) {
  const Sample sample;
  const std::string shifted = "prefix!!!" + sample.bytes + "behind";
  MemorySource source(as_bytes(shifted));
  Flatbuffer buffer(source, 9, sample.bytes.size());
  const auto root = buffer.root();
  ASSERT_TRUE(root);
  EXPECT_EQ(buffer.string(*root, 1, 100), "abc");
  EXPECT_EQ(buffer.offset(root->at), 25u);
}

} // namespace
} // namespace hubgate
