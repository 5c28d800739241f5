#include "lib/base/rate_limit.h"

#include <gtest/gtest.h>

namespace fairlead::base {
namespace {

TEST(RateLimit, GivesTheBurstAtOnceAndThenTheRate) {
  RateLimit limit(2, 3);
  Time now{hours(1)};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.Take(now));
  EXPECT_FALSE(limit.Take(now));
  now += milliseconds(500);
  EXPECT_TRUE(limit.Take(now));
  EXPECT_FALSE(limit.Take(now));
  now += hours(1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.Take(now));
  EXPECT_FALSE(limit.Take(now)) << "no more than the burst is saved";
}

}  // namespace
}  // namespace fairlead::base
