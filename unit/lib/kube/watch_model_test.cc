#include "unit/lib/kube/watch_model.h"

#include <gtest/gtest.h>

namespace fairlead::kube::model {
namespace {

TEST(WatchModel, WhateverHappensTheStoreBecomesTheServer) {
  int snapshots = 0;
  int restores = 0;
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 2500; ++seed) {
    SCOPED_TRACE(base::StrCat("seed ", seed));
    Model model(seed);
    model.Run(600);
    ASSERT_FALSE(::testing::Test::HasFailure());
    ASSERT_TRUE(model.Settled());
    ASSERT_EQ(model.View(), model.Truth());
    snapshots += model.snapshots;
    restores += model.restores;
    crashes += model.crashes;
  }
  // The search reached what it is for.
  EXPECT_GT(snapshots, 1000);
  EXPECT_GT(restores, 100);
  EXPECT_GT(crashes, 1000);
}

}  // namespace
}  // namespace fairlead::kube::model
