#include "endpoint/replicas/coordinator.h"

#include <gmock/gmock.h>

#include "endpoint/registry/registry.h"
#include "unit/endpoint/replicas/replicas_scene.h"
#include "unit/fakes/signal.h"

namespace fairlead::endpoint {
namespace {

class Heard : public CoordinatorListener {
 public:
  void OnFree(std::vector<base::U128> accounts) override {
    signal.Update([&] { free = std::move(accounts); });
  }
  void OnRegistry() override {
    signal.Update([&] { ++registry; });
  }
  void OnDoubt() override {
    signal.Update([&] { ++doubts; });
  }
  void OnForgotten() override {
    signal.Update([&] { ++forgotten; });
  }
  fakes::Signal signal;
  std::vector<base::U128> free;
  int registry = 0;
  int doubts = 0;
  int forgotten = 0;
};

// A replica with all that is its own.
struct Running {
  FleetBoard board;
  Heard heard;
  std::unique_ptr<Coordinator> coordinator;
};

class CoordinatorTest : public ReplicasScene {
 protected:
  std::unique_ptr<Running> Run(const Replica& replica) {
    auto running = std::make_unique<Running>();
    running->board.OnChange(
        [heard = &running->heard, of = running.get()](const base::U128& account, bool own) {
          if (own && of->coordinator) of->coordinator->Changed(account);
          heard->signal.Update([] {});
        });
    running->coordinator = std::make_unique<Coordinator>(
        CoordinatorOptions{.look_every = base::milliseconds(10)}, Rows(replica),
        replica.store->replica(), &running->board, &running->heard, &base::Clock::Real(), nullptr);
    return running;
  }
  static bool Until(Running& running, const std::function<bool()>& holds) {
    return running.heard.signal.Wait(holds);
  }
  // It hears of a change of the registry, so it has beaten, too.
  void WaitUntilItLooks(Running& running) {
    registry::PutRequest put;
    put.name = "prod";
    put.owner = "rest";
    put.spec_json = R"({"identities":["agent"],"access":{"level":"Cluster"}})";
    ASSERT_TRUE(registry::Registry(one_.store.get(), nullptr).Put(put).ok());
    ASSERT_TRUE(Until(running, [&] { return running.heard.registry > 0; }));
  }
  const base::U128 account_ = shard_.account;
};

TEST_P(CoordinatorTest, AReplicaThatStopsHandsItsShardsToWhoWaits) {
  auto first = Run(one_);
  WaitUntilItLooks(*first);
  ASSERT_EQ(TermOf(one_.store->NewTerm(shard_, "first", {})), 1U);
  ASSERT_TRUE(two_.store->NewTerm(shard_, "second", {})->elsewhere);
  auto second = Run(two_);
  first->coordinator->Stop();
  EXPECT_TRUE(Until(*second, [&] { return !second->heard.free.empty(); }));
  EXPECT_EQ(second->heard.free.at(0), account_);
}

TEST_P(CoordinatorTest, AReplicaThatDiesIsFoundOut) {
  one_.Beat();  // and never again
  ASSERT_EQ(TermOf(one_.store->NewTerm(shard_, "first", {})), 1U);
  ASSERT_TRUE(two_.store->NewTerm(shard_, "second", {})->elsewhere);
  auto second = Run(two_);
  EXPECT_TRUE(Until(*second, [&] { return !second->heard.free.empty(); }));
  EXPECT_FALSE(*one_.rows->Beat(2)) << "it learns of it with its next beat";
}

// It goes on before the one who held it for dead has looked again.
TEST_P(CoordinatorTest, AReplicaThatWasHeldForDeadSaysAllAgainAndAsksAgain) {
  auto first = Run(one_);
  auto second = Run(two_);
  AccountLive live;
  live.standbys = 1;
  first->board.Set(account_, live);
  ASSERT_TRUE(Until(*second, [&] { return second->board.Get(account_).standbys == 1; }));
  const auto rows = two_.rows->Replicas();
  for (const store::ReplicaRow& row : *rows) {
    if (row.id != one_.store->replica()) continue;
    ASSERT_TRUE(two_.rows->Bury(row).ok());
    // A beat that was faster is nobody's burial: the next look has the one after it.
    ASSERT_TRUE(two_.rows->Bury({row.id, row.beat + 1, 0}).ok());
  }
  ASSERT_TRUE(Until(*first, [&] { return first->heard.forgotten > 0; }));
  live.standbys = 2;
  first->board.Set(account_, live);
  EXPECT_TRUE(Until(*second, [&] { return second->board.Get(account_).standbys == 2; }));
}

TEST_P(CoordinatorTest, WhatIsKnownOfAgentsIsKnownToAllReplicas) {
  auto first = Run(one_);
  auto second = Run(two_);
  AccountLive live;
  live.granted = true;
  live.term = 3;
  live.identity = "eu";
  live.kinds = {"pods: Forbidden"};
  first->board.Set(account_, live);
  AccountLive standby;
  standby.standbys = 2;
  second->board.Set(account_, standby);
  AccountLive both = live;
  both.standbys = 2;
  EXPECT_TRUE(Until(*second, [&] { return second->board.Get(account_) == both; }));
  EXPECT_TRUE(Until(*first, [&] { return first->board.Get(account_) == both; }));
  first->coordinator->Stop();
  EXPECT_TRUE(Until(*second, [&] { return second->board.Get(account_) == standby; }));
}

TEST_P(CoordinatorTest, ADatabaseThatWasAwayIsADoubt) {
  auto first = Run(one_);
  WaitUntilItLooks(*first);
  test::DatabaseServer& server = test::DatabaseServer::Shared(GetParam());
  server.Kill();
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(Until(*first, [&] { return first->heard.doubts > 0; }));
}

INSTANTIATE_SERVER_SUITE(CoordinatorTest);

}  // namespace
}  // namespace fairlead::endpoint
