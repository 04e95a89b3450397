#include "proxy/relay/pace.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

using std::chrono::seconds;

TEST(Pace, lets_some_through_at_once_and_then_one_at_a_time) {
  Pace pace(3, seconds(10));
  const TimePoint begin = Clock::now();
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(pace.take("a", begin)) << i;
  EXPECT_FALSE(pace.take("a", begin));
  EXPECT_EQ(pace.wait("a", begin), seconds(10));
  EXPECT_TRUE(pace.take("b", begin)) << "others are not held up";
  EXPECT_FALSE(pace.take("a", begin + seconds(9)));
  EXPECT_TRUE(pace.take("a", begin + seconds(10)));
  EXPECT_FALSE(pace.take("a", begin + seconds(11)));
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(pace.take("a", begin + seconds(1000))) << "what was saved up is no more than that";
  EXPECT_FALSE(pace.take("a", begin + seconds(1000)));
}

TEST(Pace, counts_what_was_not_asked_for) {
  Pace pace(2, seconds(10));
  const TimePoint begin = Clock::now();
  for (int i = 0; i < 4; ++i)
    pace.count("a", begin);
  EXPECT_EQ(pace.wait("a", begin), seconds(30));
}

TEST(Neighbourhood, is_an_address_or_what_one_machine_has) {
  EXPECT_EQ(neighbourhood("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(neighbourhood("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(neighbourhood("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(neighbourhood("2001:db8:1:2::9"), "2001:db8:1:2::/64");
}

} // namespace
} // namespace hubgate::proxy
