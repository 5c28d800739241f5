#include "endpoint/store/replica_rows.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>
#include <vector>

#include "unit/endpoint/replicas/replicas_scene.h"

namespace fairlead::endpoint {
namespace {

using store::Releasing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReplicaRowsTest : public ReplicasScene {
 protected:
  // `one_` holds the shard under term 1, `two_` waits for it.
  void Hold() {
    one_.Beat();
    two_.Beat();
    ASSERT_EQ(TermOf(one_.store->NewTerm(shard_, "first", {})), 1U);
    ASSERT_TRUE(two_.store->NewTerm(shard_, "second", {})->elsewhere);
  }
  std::vector<store::ShardKey> Free() { return *two_.rows->Free(); }
};

TEST_P(ReplicaRowsTest, AShardStaysWithTheLiveReplicaThatHoldsIt) {
  Hold();
  EXPECT_EQ(one_.store->GetShard(shard_)->term, 1U);
  EXPECT_EQ(one_.store->GetShard(shard_)->replica, one_.store->replica());
  EXPECT_THAT(Free(), IsEmpty());
  EXPECT_EQ(TermOf(one_.store->NewTerm(shard_, "third", {})), 2U) << "its own it may give anew";
}

TEST_P(ReplicaRowsTest, AReleasedShardIsFreeForWhoWaits) {
  Hold();
  const store::Counters before = *two_.rows->ReadCounters();
  EXPECT_FALSE(*one_.store->Release(shard_, 7, Releasing::kAlways)) << "another term";
  EXPECT_FALSE(*two_.store->Release(shard_, 1, Releasing::kAlways)) << "another's";
  EXPECT_EQ(*two_.rows->ReadCounters(), before);
  ASSERT_TRUE(*one_.store->Release(shard_, 1, Releasing::kIfAnotherWaits));
  EXPECT_NE(two_.rows->ReadCounters()->released, before.released);
  ASSERT_THAT(Free(), ElementsAre(shard_));
  EXPECT_EQ(TermOf(two_.store->NewTerm(shard_, "second", {})), 2U);
  EXPECT_THAT(Free(), IsEmpty()) << "it waits no more";
  EXPECT_TRUE(one_.store->NewTerm(shard_, "third", {})->elsewhere);
}

TEST_P(ReplicaRowsTest, AShardThatNobodyElseWaitsForIsNotOffered) {
  Hold();
  ASSERT_TRUE(two_.store->StopWaiting(shard_).ok());
  EXPECT_FALSE(*one_.store->Release(shard_, 1, Releasing::kIfAnotherWaits));
  EXPECT_EQ(one_.store->GetShard(shard_)->replica, one_.store->replica());
  EXPECT_TRUE(*one_.store->Release(shard_, 1, Releasing::kAlways));
}

TEST_P(ReplicaRowsTest, AnAgentThatGoesToAnotherReplicaTakesItsAccountAlong) {
  Hold();
  EXPECT_EQ(TermOf(two_.store->NewTerm(shard_, "first", {})), 2U);
}

TEST_P(ReplicaRowsTest, AgentsWithoutAnInstanceAreNotTakenForOneAnother) {
  one_.Beat();
  two_.Beat();
  ASSERT_EQ(TermOf(one_.store->NewTerm(shard_, "", {})), 1U);
  EXPECT_TRUE(two_.store->NewTerm(shard_, "", {})->elsewhere);
}

TEST_P(ReplicaRowsTest, WhatADeadReplicaHeldIsFree) {
  Hold();
  one_.Beat();
  ASSERT_TRUE(two_.rows->Bury({one_.store->replica(), 1, 0}).ok());
  EXPECT_THAT(Free(), IsEmpty()) << "its beat had moved";
  ASSERT_TRUE(two_.rows->Bury({one_.store->replica(), 2, 0}).ok());
  EXPECT_THAT(Free(), ElementsAre(shard_));
  EXPECT_FALSE(*one_.rows->Beat(3)) << "it is told that it was held for dead";
  EXPECT_THAT(Free(), IsEmpty()) << "nobody took the shard meanwhile";
  EXPECT_TRUE(*one_.rows->Beat(4));
}

TEST_P(ReplicaRowsTest, AReplicaThatLeavesFreesWhatItHeld) {
  Hold();
  const store::Counters before = *two_.rows->ReadCounters();
  ASSERT_TRUE(one_.rows->Leave().ok());
  EXPECT_NE(two_.rows->ReadCounters()->released, before.released);
  EXPECT_THAT(Free(), ElementsAre(shard_));
  EXPECT_THAT(*two_.rows->Replicas(), SizeIs(1));
}

// Both read the same term, and only one may make the next of it.
TEST_P(ReplicaRowsTest, NoTermIsMadeTwice) {
  constexpr int kEach = 150;
  std::vector<uint64_t> terms[2];
  const auto make = [this](Replica* replica, std::vector<uint64_t>* made) {
    for (int i = 0; i < kEach; ++i) {
      const auto term = replica->store->NewTerm(shard_, "first", {});
      if (term.ok() && !term->elsewhere) made->push_back(term->state.term);
    }
  };
  one_.Beat();
  two_.Beat();
  std::thread other([&] { make(&two_, &terms[1]); });
  make(&one_, &terms[0]);
  other.join();
  std::set<uint64_t> all(terms[0].begin(), terms[0].end());
  all.insert(terms[1].begin(), terms[1].end());
  EXPECT_THAT(all, SizeIs(terms[0].size() + terms[1].size()));
  EXPECT_GT(all.size(), size_t{kEach} / 2);
}

TEST_P(ReplicaRowsTest, WhatAReplicaSaysOfItsAgentsIsReadOnceByOthers) {
  const auto save = [](Replica& by, const std::string& text) {
    return by.rows->SaveBoard({{{1, 1}, text}, {{2, 2}, "x"}});
  };
  EXPECT_EQ(save(one_, "early").code(), absl::StatusCode::kAborted) << "it has no row";
  one_.Beat();
  ASSERT_TRUE(save(one_, "first").ok());
  const std::string id = one_.store->replica();
  const store::ReplicaRow row = two_.rows->Replicas()->front();
  EXPECT_EQ(row.board, 1U);
  EXPECT_THAT(*two_.rows->BoardSince(id, 0), SizeIs(2));
  EXPECT_THAT(*two_.rows->BoardSince(id, row.board), IsEmpty());
  ASSERT_TRUE(one_.rows->SaveBoard({{{1, 1}, "second"}}).ok());
  const auto news = *two_.rows->BoardSince(id, row.board);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].live, "second");
}

TEST_P(ReplicaRowsTest, WhatAReplicaSaysAfterItWasHeldForDeadIsNewToOthers) {
  one_.Beat();
  ASSERT_TRUE(one_.rows->SaveBoard({{{1, 1}, "first"}}).ok());
  ASSERT_TRUE(one_.rows->SaveBoard({{{1, 1}, "second"}}).ok());
  const store::ReplicaRow heard = two_.rows->Replicas()->front();
  ASSERT_TRUE(two_.rows->Bury(heard).ok());
  one_.Beat();
  EXPECT_EQ(two_.rows->Replicas()->front().board, heard.board) << "nothing is said yet";
  ASSERT_TRUE(one_.rows->SaveBoard({{{1, 1}, "again"}}).ok());
  const auto news = *two_.rows->BoardSince(heard.id, heard.board);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].live, "again");
}

INSTANTIATE_SERVER_SUITE(ReplicaRowsTest);

}  // namespace
}  // namespace fairlead::endpoint
