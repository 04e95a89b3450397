#include "proxy/relay/recent.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

TEST(Recent, forgets_what_was_not_asked_for) {
  Recent<int> recent(3);
  recent.put("a", 1);
  recent.put("b", 2);
  recent.put("c", 3);
  ASSERT_TRUE(recent.find("a"));
  recent.put("d", 4);
  EXPECT_FALSE(recent.find("b"));
  EXPECT_EQ(*recent.find("a"), 1);
  recent.put("a", 5);
  EXPECT_EQ(*recent.find("a"), 5);
  EXPECT_EQ(recent.size(), 3u);
  recent.erase("a");
  EXPECT_FALSE(recent.find("a"));
}

TEST(Recent, is_bounded_by_weight) {
  Recent<int> recent(10);
  for (int i = 0; i < 10; ++i)
    recent.put(std::to_string(i), i);
  recent.put("heavy", 1, 8);
  EXPECT_EQ(recent.size(), 3u);
  EXPECT_TRUE(recent.find("heavy"));
  recent.put("too heavy", 1, 11);
  EXPECT_EQ(recent.size(), 0u);
}

} // namespace
} // namespace hubgate::proxy
