#include <gmock/gmock.h>

#include <thread>

#include "endpoint/registry/registry.h"
#include "unit/endpoint/replicas/replicas_scene.h"

namespace fairlead::endpoint {
namespace {

using registry::Registry;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSpec[] = R"({"identities":["agent"],"access":{"level":"Cluster"}})";

registry::PutRequest Named(const std::string& name, const std::string& owner) {
  registry::PutRequest put;
  put.name = name;
  put.owner = owner;
  put.spec_json = kSpec;
  return put;
}

class RegistryReplicasTest : public ReplicasScene {
 protected:
  Registry here_{one_.store.get(), nullptr};
  Registry there_{two_.store.get(), nullptr};
};

TEST_P(RegistryReplicasTest, AReplicaSeesWhatAnotherPutAndDeleted) {
  const uint64_t before = *there_.Version();
  const auto put = here_.Put(Named("prod", "rest"));
  ASSERT_TRUE(put.ok()) << put.status();
  ASSERT_GT(*there_.Version(), before);
  auto changes = *there_.ChangedSince(before);
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].account.uid, put->uid);
  EXPECT_EQ(changes[0].account.hash, put->hash);
  EXPECT_FALSE(changes[0].deleted);

  const uint64_t with = *there_.Version();
  EXPECT_TRUE(here_.Put(Named("prod", "rest")).ok());
  EXPECT_EQ(*there_.Version(), with) << "a PUT that changes nothing is no change";

  ASSERT_TRUE(there_.Delete("prod", put->uid, "rest").ok());
  changes = *here_.ChangedSince(with);
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_TRUE(changes[0].deleted);
  EXPECT_THAT(*here_.ChangedSince(*here_.Version()), IsEmpty());
}

// Each round one name, claimed by two owners at two replicas.
TEST_P(RegistryReplicasTest, TheFirstClaimOfANameWinsWhicheverReplicaHearsIt) {
  constexpr int kNames = 40;
  int won[2] = {0, 0};
  const auto claim = [](Registry* registry, const std::string& owner, int* won) {
    for (int i = 0; i < kNames; ++i) {
      const auto put = registry->Put(Named("name-" + std::to_string(i), owner));
      if (put.ok()) ++*won;
      EXPECT_TRUE(put.ok() || put.status().code() == absl::StatusCode::kAlreadyExists)
          << put.status();
    }
  };
  std::thread other([&] { claim(&there_, "there", &won[1]); });
  claim(&here_, "here", &won[0]);
  other.join();
  EXPECT_EQ(won[0] + won[1], kNames);
  EXPECT_THAT(*here_.List(), SizeIs(kNames));
}

INSTANTIATE_SERVER_SUITE(RegistryReplicasTest);

}  // namespace
}  // namespace fairlead::endpoint
