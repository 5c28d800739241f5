#include <gtest/gtest.h>

#include "lib/base/backoff.h"
#include "lib/base/resource_version.h"
#include "lib/base/strings.h"
#include "lib/base/suggest.h"

namespace fairlead::base {
namespace {

TEST(ResourceVersions, AreOrderedAsUnboundedDecimals) {
  EXPECT_EQ(CompareResourceVersions("9", "10"), -1);
  EXPECT_EQ(CompareResourceVersions("340282366920938463463374607431768211457",
                                    "340282366920938463463374607431768211456"),
            1);
  EXPECT_EQ(CompareResourceVersions("007", "7"), 0);
}

TEST(ResourceVersions, ThatAreNotDecimalHaveNoOrder) {
  EXPECT_EQ(CompareResourceVersions("abc", "7"), std::nullopt);
  EXPECT_EQ(CompareResourceVersions("", "7"), std::nullopt);
  EXPECT_EQ(CompareResourceVersions("-1", "7"), std::nullopt);
}

TEST(Backoff, GrowsToItsCeilingStaysJitteredAndStartsOverAfterReset) {
  const BackoffOptions options{milliseconds(100), seconds(1), 2.0};
  Backoff backoff(options, 7);
  EXPECT_LE(backoff.Next(), milliseconds(100));
  Duration longest{};
  bool differed = false;
  Duration last{};
  for (int i = 0; i < 200; ++i) {
    const Duration delay = backoff.Next();
    EXPECT_GE(delay, milliseconds(50));
    EXPECT_LE(delay, seconds(1));
    longest = std::max(longest, delay);
    differed = differed || delay != last;
    last = delay;
  }
  EXPECT_GT(longest, milliseconds(800));
  EXPECT_TRUE(differed);
  backoff.Reset();
  EXPECT_LE(backoff.Next(), milliseconds(100));
}

TEST(Suggest, NamesTheNearestValidKey) {
  EXPECT_EQ(Nearest("endpiont", {"account", "endpoint", "log"}), "endpoint");
  EXPECT_EQ(Nearest("x", {}), "");
}

TEST(Clipped, CutsBetweenCharacters) {
  EXPECT_EQ(Clipped("grün", 8), "grün");
  EXPECT_EQ(Clipped("grün", 4), "grü");
  EXPECT_EQ(Clipped("grün", 3), "gr") << "ü has two bytes";
  EXPECT_EQ(Clipped("ü", 1), "");
}

}  // namespace
}  // namespace fairlead::base
