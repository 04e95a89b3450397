#include "scanner/core/protobuf.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

struct Walk {
  std::string fields; ///< "1v150 2b7 " …
  ProtoFailure failure;
};

Walk walk(std::string_view bytes, bool known = true, std::uint32_t depth = 0) {
  MemorySource source(as_bytes(bytes));
  ProtoInput input(source);
  ProtoReader reader(input, 0, known ? bytes.size() : ~std::uint64_t{0}, depth);
  Walk out;
  ProtoField field;
  while (reader.next(field)) {
    out.fields += std::to_string(field.number) + "vqbg-d"[static_cast<int>(field.wire)];
    const bool nested = field.wire == ProtoWire::bytes || field.wire == ProtoWire::group;
    out.fields += std::to_string(nested ? field.size() : field.value) + " ";
  }
  out.failure = reader.failure();
  return out;
}

TEST(Protobuf, reads_every_wire_type) {
  const Walk all =
      walk("\x08\x96\x01\x12\x02hi\x1d\x01\0\0\0\x21\x02\0\0\0\0\0\0\0\x2b\x08\x01\x2c"sv);
  EXPECT_EQ(all.fields, "1v150 2b2 3d1 4q2 5g2 ");
  EXPECT_EQ(all.failure, ProtoFailure::none);
  EXPECT_EQ(walk("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv).fields,
            "1v18446744073709551615 ");
}

TEST(Protobuf, a_cut_is_truncated_whether_the_size_is_known_or_not) {
  const auto whole = "\x08\x96\x01\x12\x02hi\x1d\x01\0\0\0\x2b\x0a\x01\x41\x2c"sv;
  for (std::size_t n = 0; n <= whole.size(); ++n) {
    const bool border = n == 0 || n == 3 || n == 7 || n == 12 || n == 17;
    for (const bool known: {true, false})
      EXPECT_EQ(walk(whole.substr(0, n), known).failure,
                border ? ProtoFailure::none : ProtoFailure::truncated)
          << n << known;
  }
}

TEST(Protobuf, what_no_parser_accepts_is_malformed) {
  EXPECT_EQ(walk("\x00\x01"sv).failure, ProtoFailure::malformed); // number 0
  EXPECT_EQ(walk("\x0e\x01"sv).failure, ProtoFailure::malformed); // wire type 6
  EXPECT_EQ(walk("\x0c"sv).failure, ProtoFailure::malformed);     // end of no group
  EXPECT_EQ(walk("\x0b\x14"sv).failure, ProtoFailure::malformed); // end of another
  EXPECT_EQ(walk("\xff\xff\xff\xff\xff\x01"sv).failure, ProtoFailure::malformed);
  EXPECT_EQ(walk("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"sv).failure,
            ProtoFailure::malformed);
  EXPECT_EQ(walk("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv).failure,
            ProtoFailure::truncated); // a length that would wrap
}

TEST(Protobuf, overlong_numbers_are_read_and_marked) {
  MemorySource source(as_bytes("\x08\x81\x80\x00\x08\x01"sv));
  ProtoInput input(source);
  ProtoReader reader(input, 0, 6);
  ProtoField field;
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.value, 1u);
  EXPECT_TRUE(field.overlong);
  ASSERT_TRUE(reader.next(field));
  EXPECT_FALSE(field.overlong);
}

TEST(Protobuf, nesting_is_bounded) {
  std::string groups(200, '\x0b');
  groups += std::string(200, '\x0c');
  EXPECT_EQ(walk(groups).failure, ProtoFailure::limit);
  EXPECT_EQ(walk(groups.substr(110, 180)).failure, ProtoFailure::none);

  std::string nested;
  for (int i = 0; i < 60; ++i)
    nested = std::string("\x0a") + static_cast<char>(nested.size()) + nested;
  MemorySource source(as_bytes(nested));
  ProtoInput input(source);
  int levels = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = nested.size();
  for (std::uint32_t depth = k_proto_depth - 10;; ++depth, ++levels) {
    ProtoReader reader(input, begin, end, depth);
    ProtoField field;
    ASSERT_TRUE(reader.next(field));
    if (reader.inside(field).failure() == ProtoFailure::limit) break;
    begin = field.begin;
    end = field.end;
  }
  EXPECT_EQ(levels, 10);
}

TEST(Protobuf, nested_fields_text_and_packed_numbers) {
  const auto bytes = "\x0a\x07\x12\x05hello\x1a\x03\x01\xac\x02"sv;
  MemorySource source(as_bytes(bytes));
  ProtoInput input(source);
  ProtoReader reader(input, 0, bytes.size());
  ProtoField outer;
  ProtoField inner;
  ASSERT_TRUE(reader.next(outer));
  ProtoReader nested = reader.inside(outer);
  ASSERT_TRUE(nested.next(inner));
  EXPECT_EQ(nested.text(inner, 100), "hello");
  EXPECT_EQ(nested.text(inner, 3), "hel");
  ASSERT_TRUE(reader.next(outer));
  ProtoReader packed = reader.inside(outer);
  EXPECT_EQ(packed.packed_varint(), 1u);
  EXPECT_EQ(packed.packed_varint(), 300u);
  EXPECT_FALSE(packed.packed_varint());
  EXPECT_EQ(packed.failure(), ProtoFailure::none);
}

TEST(Protobuf, fields_longer_than_the_window_are_jumped) {
  std::string bytes = "\x0a\x80\x80\x10";
  bytes += std::string(std::size_t{1} << 18, 'x');
  bytes += "\x10\x07";
  for (const bool known: {true, false})
    EXPECT_EQ(walk(bytes, known).fields, "1b262144 2v7 ");
  EXPECT_EQ(walk(bytes.substr(0, 1000), false).failure, ProtoFailure::truncated);
}

} // namespace
} // namespace hubgate
