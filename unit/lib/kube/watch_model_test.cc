#include "unit/lib/kube/watch_model.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fairlead::kube::model {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// MODEL_SEEDS=n runs n histories, MODEL_FIRST=n begins with the n-th, MODEL_FAILURES=n goes on
// until so many were wrong.
TEST(WatchModel, WhateverHappensTheStoreBecomesTheServer) {
  const uint64_t first = FromEnvironment("MODEL_FIRST", 1);
  const uint64_t count = FromEnvironment("MODEL_SEEDS", 2500);
  const uint64_t bear = FromEnvironment("MODEL_FAILURES", 1);
  uint64_t wrong = 0;
  std::string found;  // told at the end: a failure ends every model
  int snapshots = 0;
  int restores = 0;
  int crashes = 0;
  for (uint64_t seed = first; seed < first + count && wrong < bear; ++seed) {
    Model model(seed);
    model.Run(600);
    ASSERT_FALSE(HasFailure()) << "MODEL_FIRST=" << seed << " MODEL_SEEDS=1";
    if (!model.Settled() || model.View() != model.Truth()) {
      ++wrong;
      found += base::StrCat("MODEL_FIRST=", seed, " MODEL_SEEDS=1: rows ", model.View(),
                            ", the server has ", model.Truth(), "\n");
    }
    snapshots += model.snapshots;
    restores += model.restores;
    crashes += model.crashes;
  }
  EXPECT_EQ(found, "");
  std::printf("%lu of %lu histories wrong; %d snapshots, %d restores, %d crashes\n", wrong, count,
              snapshots, restores, crashes);
  if (count < 2500) return;
  // The search reached what it is for.
  EXPECT_GT(snapshots, 1000);
  EXPECT_GT(restores, 100);
  EXPECT_GT(crashes, 1000);
}

}  // namespace
}  // namespace fairlead::kube::model
