#include "agent/account/recent_hashes.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::agent {
namespace {

const base::U128 kSalt{1, 2};
const base::U128 kOther{3, 4};
const base::U128 kA{5, 6};
const base::U128 kB{7, 8};

TEST(RecentHashes, OnlyTheLastContentIsTheSame) {
  RecentHashes recent(4096);
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA));
  EXPECT_TRUE(recent.Same(kSalt, "shop", "web", kA));
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kB));
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA)) << "there and back is two changes";
}

TEST(RecentHashes, AnotherSaltKnowsNothing) {
  RecentHashes recent(4096);
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA));
  EXPECT_FALSE(recent.Same(kOther, "shop", "web", kA));
}

TEST(RecentHashes, WhatIsForgottenIsSentAgain) {
  RecentHashes recent(4096);
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA));
  recent.Forget(kSalt, "shop", "web");
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA));
}

// A table of one place: who is pushed out is sent once more, and never taken for another.
TEST(RecentHashes, CrowdedPlacesCostMessagesAndNothingElse) {
  RecentHashes recent(16);
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA));
  EXPECT_FALSE(recent.Same(kSalt, "shop", "db", kB));
  EXPECT_FALSE(recent.Same(kSalt, "shop", "web", kA));
  EXPECT_TRUE(recent.Same(kSalt, "shop", "web", kA));
}

}  // namespace
}  // namespace fairlead::agent
