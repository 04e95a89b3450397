// What is fetched for a reconstruction. The fetching itself is driven by
// tests/e2e/test_xet_pull.py.
#include "proxy/cas/parts.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

xet::Hash xorb(std::uint8_t n) {
  xet::Hash out;
  out.bytes[0] = n;
  return out;
}

xet::Term term(std::uint8_t n, std::uint32_t begin, std::uint32_t end) {
  return {xorb(n), std::uint64_t{1000} * (end - begin), {begin, end}};
}

TEST(Parts, AreInTheOrderOfTheFile) {
  xet::Reconstruction plan;
  plan.terms = {term(1, 0, 2), term(2, 5, 6), term(1, 4, 6)};
  plan.fetches[xorb(1)] = {{"one", {{{0, 2}, 0, 99}, {{4, 6}, 200, 299}}}};
  plan.fetches[xorb(2)] = {{"two", {{{5, 6}, 50, 59}}}};
  const auto parts = plan_parts(plan);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].url, "one");
  EXPECT_EQ(parts[0].last, 99u);
  EXPECT_EQ(parts[1].url, "two");
  EXPECT_EQ(parts[2].first, 200u);
  EXPECT_EQ(parts[2].first_chunk, 4u);
}

TEST(Parts, FetchARangeOnceForTermsThatFollowEachOther) {
  xet::Reconstruction plan;
  plan.terms = {term(1, 0, 2), term(1, 2, 3), term(1, 7, 8), term(1, 0, 1)};
  plan.fetches[xorb(1)] = {{"one", {{{0, 8}, 0, 999}}}};
  const auto parts = plan_parts(plan);
  ASSERT_EQ(parts.size(), 2u); // the last one goes back
  EXPECT_EQ(parts[0].wanted, (std::vector<xet::ChunkRange>{{0, 2}, {2, 3}, {7, 8}}));
  EXPECT_EQ(parts[1].wanted, (std::vector<xet::ChunkRange>{{0, 1}}));
}

TEST(Parts, TakeTheShortestRange) {
  xet::Reconstruction plan;
  plan.terms = {term(1, 3, 4)};
  plan.fetches[xorb(1)] = {{"all", {{{0, 9}, 0, 999}}}, {"some", {{{3, 5}, 30, 49}}}};
  const auto parts = plan_parts(plan);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].url, "some");
  EXPECT_EQ(parts[0].end_chunk, 5u);
}

TEST(Parts, AreNoneWithoutAnAddress) {
  xet::Reconstruction plan;
  plan.terms = {term(1, 0, 1)};
  EXPECT_TRUE(plan_parts(plan).empty());
}

} // namespace
} // namespace hubgate::proxy
