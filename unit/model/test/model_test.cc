#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "lib/base/strings.h"
#include "unit/model/explorer.h"
#include "unit/model/real_store.h"
#include "unit/model/worlds.h"

// MODEL_WHOLE=1 searches every world to its end (`make model`), MODEL_WORLD=text only those whose
// name holds it. MODEL_SECONDS=n is how long orders are tried by chance, from MODEL_SEED=n on.
namespace fairlead::model {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

bool Wanted(const NamedWorld& world) {
  const char* only = std::getenv("MODEL_WORLD");
  return only == nullptr || std::string(world.name).find(only) != std::string::npos;
}

TEST(Model, EveryOrderOfASmallWorldKeepsTheInvariants) {
  const bool whole = FromEnvironment("MODEL_WHOLE", 0) != 0;
  SearchResult sum;
  for (const NamedWorld& world : Worlds()) {
    if (!Wanted(world) || (!whole && !world.small)) continue;
    const SearchResult result = Search(world.bounds, whole ? base::hours(1) : base::seconds(60));
    std::printf("%-42s %9lu states %10lu transitions %6lu at rest  depth %3zu %7.1f s\n",
                world.name, result.states, result.transitions, result.rests, result.depth,
                result.seconds);
    std::fflush(stdout);
    EXPECT_TRUE(result.whole || result.violation) << world.name << ": not searched to its end";
    if (result.violation) {
      ADD_FAILURE() << world.name << ": " << Describe(Shortened(world.bounds, *result.violation));
    }
    sum.states += result.states;
    sum.transitions += result.transitions;
    sum.depth = std::max(sum.depth, result.depth);
    sum.seconds += result.seconds;
  }
  std::printf("%lu states, %lu transitions, depth %zu, %.1f s\n", sum.states, sum.transitions,
              sum.depth, sum.seconds);
}

TEST(Model, OrdersByChanceKeepTheInvariantsAndTheStoreDoesTheSame) {
  const uint64_t first = FromEnvironment("MODEL_SEED", 1);
  const std::chrono::seconds most(FromEnvironment("MODEL_SECONDS", 6));
  const auto until = std::chrono::steady_clock::now() + most;
  const std::filesystem::path shm = "/dev/shm";
  const std::filesystem::path folder =
      (std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path()) /
      base::StrCat("fairlead_model.", getpid());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  {
    RealStore store(folder / "model.db");
    uint64_t seed = first;
    uint64_t steps = 0;
    uint64_t works = 0;
    for (; std::chrono::steady_clock::now() < until && !HasFailure(); ++seed) {
      const NamedWorld& world = Worlds()[seed % Worlds().size()];
      if (!Wanted(world)) continue;
      std::vector<Endpoint::Work> done;
      const Walk walk = WalkOnce(world.bounds, seed, &done);
      const std::string difference = store.Compare(done);
      steps += walk.steps;
      works += done.size();
      if (walk.violation) {
        ADD_FAILURE() << "MODEL_SEED=" << seed << ", " << world.name << ": "
                      << Describe(Shortened(world.bounds, *walk.violation));
      }
      EXPECT_EQ(difference, "") << "MODEL_SEED=" << seed << ", " << world.name;
    }
    std::printf("MODEL_SEED=%lu: %lu orders, %lu steps, %lu operations of the store\n", first,
                seed - first, steps, works);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fairlead::model
