#include "lib/sql/connection.h"
#include "unit/endpoint/session/hub_scene.h"

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Another replica is what it leaves in the database.
class HubReplicasTest : public HubScene {
 protected:
  HubReplicasTest() : HubScene(/*replicas=*/true) {}
  void Run(const std::string& statement) {
    const auto done = sql::Run(store_->connection(), statement);
    ASSERT_TRUE(done.ok()) << done.status();
  }
  void AnotherLives() { Run("INSERT INTO replicas (id, beat, board) VALUES ('other', 1, 0)"); }
  void AnotherHolds() {
    AnotherLives();
    Run("UPDATE shards SET term = term + 1, holder = 'theirs', replica = 'other'");
  }
  store::ShardState Shard() { return *store_->GetShard({account_, 0}); }
  bool Waits() {
    const auto query = *store_->connection().Prepare("SELECT 1 FROM waiting WHERE replica = ?");
    sql::Bind(*query, store_->replica());
    return *query->Step();
  }
  const base::U128 account_{0, 1};
};

TEST_F(HubReplicasTest, AnAccountThatAnotherReplicaHasIsGrantedWhenItIsFree) {
  AnotherHolds();
  const auto agent = Connect("one");
  agent->Claim("prod");
  loop_.Advance(seconds(5));
  EXPECT_EQ(agent->grant(), nullptr);
  EXPECT_EQ(board_.Get(account_).standbys, 0) << "silent by now";
  EXPECT_EQ(Shard().term, 1U);
  EXPECT_TRUE(Waits());
  agent->Beat();
  agent->Settle();
  Run("DELETE FROM replicas");
  hub_->OnFree({account_});
  agent->Settle();
  ASSERT_NE(agent->grant(), nullptr);
  EXPECT_EQ(agent->grant()->term(), 2U);
  EXPECT_EQ(board_.Get(account_).term, 2U);
}

TEST_F(HubReplicasTest, WhatAForgottenReplicaWaitsForIsAskedForAgain) {
  AnotherHolds();
  const auto agent = Connect("one");
  agent->Claim("prod");
  ASSERT_TRUE(Waits());
  Run("DELETE FROM waiting");
  agent->Beat();
  agent->Settle();
  EXPECT_FALSE(Waits());
  hub_->AskAgain();
  agent->Settle();
  EXPECT_TRUE(Waits());
  EXPECT_EQ(agent->grant(), nullptr);
}

TEST_F(HubReplicasTest, NobodyWaitsAnyMoreWhenTheLastStandbyLeaves) {
  AnotherHolds();
  const auto agent = Connect("one");
  agent->Claim("prod");
  ASSERT_TRUE(Waits());
  agent->Leave();
  EXPECT_FALSE(Waits());
}

TEST_F(HubReplicasTest, AnAccountWhoseLastAgentLeavesIsForOthers) {
  const auto agent = Holder();
  EXPECT_EQ(Shard().replica, store_->replica());
  agent->Leave();
  EXPECT_EQ(Shard().replica, "");
}

// The next agent had been chosen, its term was on its way, and it left as well.
TEST_F(HubReplicasTest, ATermThatWasMadeForAnAgentThatLeftIsForOthers) {
  const auto first = Holder();
  const auto second = Connect("two");
  second->Claim("prod");
  writer_->SetPaused(true);
  first->Leave();
  second->Leave();
  writer_->SetPaused(false);
  loop_.Advance(milliseconds(100));
  EXPECT_EQ(Shard().term, 2U);
  EXPECT_EQ(Shard().replica, "");
}

TEST_F(HubReplicasTest, NobodyWaitsForAnAgentThatLeftBeforeItsAnswer) {
  AnotherHolds();
  const auto agent = Connect("one");
  writer_->SetPaused(true);
  agent->Claim("prod");
  agent->Leave();
  writer_->SetPaused(false);
  loop_.Advance(milliseconds(100));
  EXPECT_FALSE(Waits());
}

TEST_F(HubReplicasTest, AGrantWhoseShardIsAnothersIsRevokedAndWhatItSendsLandsNowhere) {
  const auto agent = Holder();
  AnotherHolds();
  hub_->CheckGrants();
  agent->SendBatch(Upserts("p"));
  EXPECT_THAT(agent->Revoked(), ElementsAre("the database does not have it as it was left"));
  EXPECT_THAT(Rows(), IsEmpty());
  EXPECT_THAT(agent->Acks(), IsEmpty());
}

// A restore undid the term, and another replica made it, and the batch's number, once more.
TEST_F(HubReplicasTest, ACommitWithoutAnAnswerIsNotTakenForThatOfAnotherReplica) {
  const auto agent = Holder();
  writer_->Plan({.kind = sim::WriteFault::Kind::kCommitLost, .then = [this] {
                   AnotherLives();
                   Run("UPDATE shards SET last_seq = 1, replica = 'other'");
                 }});
  agent->SendBatch(Upserts("p"));
  loop_.Advance(milliseconds(500));
  EXPECT_THAT(agent->Acks(), IsEmpty());
  EXPECT_THAT(agent->Revoked(), SizeIs(1));
}

TEST_F(HubReplicasTest, AGrantThatTheDatabaseHasAsItWasIsLeftAlone) {
  const auto agent = Holder();
  agent->SendBatch(Upserts("p"));
  hub_->CheckGrants();
  agent->Settle();
  EXPECT_THAT(agent->Revoked(), IsEmpty());
}

TEST_F(HubReplicasTest, ADatabaseThatLostWhatWasAcknowledgedBeginsANewEpoch) {
  const auto agent = Holder();
  agent->SendBatch(Upserts("p"));
  ASSERT_EQ(agent->Acks().size(), 1U);
  Run("DELETE FROM objects");
  Run("UPDATE shards SET last_seq = 0, term = 0");  // as an old backup has it
  hub_->CheckGrants();
  loop_.Advance(milliseconds(1400));  // the grant is tried again after a second
  ASSERT_NE(agent->grant(), nullptr);
  EXPECT_EQ(agent->grant()->store_epoch(), 2U);
  EXPECT_EQ(agent->grant()->term(), 2U) << "no term comes twice";
  EXPECT_EQ(agent->grant()->last_seq(), 0U);
}

TEST_F(HubReplicasTest, ASilentAgentsAccountGoesToAReplicaThatWaitsForIt) {
  const auto agent = Holder();
  loop_.Advance(seconds(4));
  EXPECT_EQ(Shard().replica, store_->replica()) << "nobody waits";
  AnotherLives();
  Run("INSERT INTO waiting (replica, account, shard) SELECT 'other', account, shard FROM shards");
  loop_.Advance(seconds(2));
  EXPECT_EQ(Shard().replica, "");
  EXPECT_THAT(agent->Revoked(), ElementsAre("BeatsStopped"));
}

}  // namespace
}  // namespace fairlead::endpoint
