#include "proxy/relay/range.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;

void expect_part(std::string_view field, std::uint64_t size, std::uint64_t first,
                 std::uint64_t last) {
  const Wanted wanted = parse_range(field, size);
  EXPECT_EQ(wanted.kind, RangeKind::part) << field;
  EXPECT_EQ(wanted.range, (ByteRange{first, last})) << field;
}

RangeKind kind(std::string_view field, std::uint64_t size) {
  return parse_range(field, size).kind;
}

TEST(Range, is_read_as_clients_write_it) {
  expect_part("bytes=0-0", 100, 0, 0);
  expect_part("bytes=10-", 100, 10, 99);
  expect_part("bytes=10-19", 100, 10, 19);
  expect_part("bytes=99-99", 100, 99, 99);
  expect_part("bytes=10-1000", 100, 10, 99);
  expect_part("bytes=-5", 100, 95, 99);
  expect_part("bytes=-500", 100, 0, 99);
}

TEST(Range, outside_of_the_object_can_not_be_satisfied) {
  EXPECT_EQ(kind("bytes=100-", 100), RangeKind::unsatisfiable);
  EXPECT_EQ(kind("bytes=100-200", 100), RangeKind::unsatisfiable);
  EXPECT_EQ(kind("bytes=-0", 100), RangeKind::unsatisfiable);
  EXPECT_EQ(kind("bytes=0-", 0), RangeKind::unsatisfiable);
  EXPECT_EQ(kind("bytes=9223372036854775807-", 100), RangeKind::unsatisfiable);
}

TEST(Range, that_is_none_means_the_whole_object) {
  for (const char* field:
       {"bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes 0-1",
        "bytes=1", "bytes=99999999999999999999-", "bytes=+1-2"})
    EXPECT_EQ(kind(field, 100), RangeKind::whole) << field;
  EXPECT_EQ(parse_range(std::nullopt, 100).kind, RangeKind::whole);
}

TEST(Range, is_covered_by_whole_blocks) {
  const BlockSpan one = covering_blocks({0, 0});
  EXPECT_EQ(one.bytes(10 * k_mib), (ByteRange{0, k_mib - 1}));
  const BlockSpan two = covering_blocks({k_mib - 1, k_mib});
  EXPECT_EQ(two.bytes(10 * k_mib), (ByteRange{0, 2 * k_mib - 1}));
  const BlockSpan last = covering_blocks({3 * k_mib, 3 * k_mib + 4});
  EXPECT_EQ(last.bytes(3 * k_mib + 5), (ByteRange{3 * k_mib, 3 * k_mib + 4}));
}

TEST(Range, is_answered_and_read_back) {
  EXPECT_EQ(content_range({5, 9}, 100), "bytes 5-9/100");
  const auto read = parse_content_range("bytes 5-9/100");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->range, (ByteRange{5, 9}));
  EXPECT_EQ(read->total, 100u);
  for (const char* field:
       {"bytes 9-5/100", "bytes 5-100/100", "bytes */100", "bytes 5-9/*", "5-9/100", ""})
    EXPECT_FALSE(parse_content_range(field)) << field;
}

} // namespace
} // namespace hubgate::proxy
