#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "unit/sim/driver.h"

namespace fairlead::sim {
namespace {

// A folder for one test's databases, in memory where the machine has such a place.
class Folder {
 public:
  Folder() {
    const std::filesystem::path shm = "/dev/shm";
    const auto base =
        std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path();
    path_ = base / base::StrCat("fairlead_sim.", getpid());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string Database(uint64_t number) const {
    return path_ / base::StrCat(number, ".db");
  }
  void Clear() const {
    for (const auto& one : std::filesystem::directory_iterator(path_)) {
      std::filesystem::remove_all(one);
    }
  }

 private:
  std::filesystem::path path_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Control and Changes are two streams: what comes by Control may be later than the positions of the
// grants in it. Each of `pauses` is one more grant, on its way so long; what comes by Changes keeps
// the session meanwhile.
void ExpectGrantsThatComeLateToLoseNothing(const std::vector<base::Duration>& pauses) {
  log::SetLevel("error");
  const Folder folder;
  World world({.database = folder.Database(0)});
  world.StartEndpoint();
  world.StartAgent(0);
  world.kube(0).Put("pods", "shop", "web");
  world.Advance(base::seconds(5));
  ASSERT_EQ(world.Difference(), "");
  world.network().Stall(fakes::MemoryAgentNetwork::Lane::kControlDown, true);
  for (const base::Duration pause : pauses) {
    world.ChangeAccount(0);
    world.Advance(pause);
  }
  world.network().Stall(fakes::MemoryAgentNetwork::Lane::kControlDown, false);
  world.kube(0).Put("pods", "shop", "db");
  world.Advance(base::seconds(10));
  EXPECT_EQ(world.Difference(), "");
}

TEST(Simulation, PositionsThatOvertakeALateRevocationAreNotLost) {
  ExpectGrantsThatComeLateToLoseNothing({base::milliseconds(1'400)});
}

TEST(Simulation, PositionsThatOvertakeTwoGrantsAreNotLost) {
  ExpectGrantsThatComeLateToLoseNothing({base::milliseconds(1'250), base::milliseconds(1'250)});
}

// What the search for values of Secrets would say, were one sent.
TEST(Simulation, AValueOfASecretThatIsSentIsFound) {
  const Folder folder;
  World world({.database = folder.Database(0)});
  world.StartEndpoint();
  world.StartAgent(0);
  const std::string data = base::StrCat(R"("data":{"a":")", World::kSecretValue, "\"}");
  world.kube(0).Put("secrets", "shop", "web", data);
  world.Advance(base::seconds(5));
  EXPECT_EQ(world.Difference(), "");
  world.kube(0).Put("configmaps", "shop", "web", data);
  world.Advance(base::seconds(5));
  EXPECT_EQ(world.Difference(), "a fairlead.agent.v1.ChangesUp held the value of a Secret");
}

// SIM_SEEDS=n runs n seeds, SIM_FIRST=n begins with seed n, SIM_VERBOSE=1 prints every step and
// log line.
TEST(Simulation, RowsEqualTheClustersWhateverHappened) {
  const bool verbose = FromEnvironment("SIM_VERBOSE", 0) != 0;
  log::SetLevel(verbose ? "debug" : "error");
  const Folder folder;
  const uint64_t first = FromEnvironment("SIM_FIRST", 1);
  const uint64_t count = FromEnvironment("SIM_SEEDS", 60);
  const uint64_t bear = FromEnvironment("SIM_FAILURES", 1);
  uint64_t failures = 0;
  for (uint64_t seed = first; seed < first + count && failures < bear; ++seed) {
    const std::string found = Driver(seed, folder.Database(seed), verbose).Run();
    folder.Clear();
    if (found.empty()) continue;
    ++failures;
    ADD_FAILURE() << "SIM_FIRST=" << seed << " SIM_SEEDS=1: " << found;
  }
}

}  // namespace
}  // namespace fairlead::sim
