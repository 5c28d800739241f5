#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/endpoint/session/hub_scene.h"

// Audits and freshness: what the hub asks of agents, and what it makes of what they say.
namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HubAuditsTest : public HubScene {};

// Lists are compared with the stored hashes: those must be the bodies' first.
TEST_F(HubAuditsTest, AnAuditBeginsOnceTheBodiesOfItsRowsAreHashed) {
  auto agent = Holder();
  agent->Ask('1', "First");
  EXPECT_EQ(agent->Admitted(), "1");
  EXPECT_THAT(scrubbed_, IsEmpty());
  agent->Ask('2', "Audit");
  EXPECT_EQ(agent->Admitted(), "1");
  EXPECT_THAT(scrubbed_, ElementsAre("pods"));
  scrub_done_();
  agent->Settle();
  EXPECT_EQ(agent->Admitted(), "12");
}

TEST_F(HubAuditsTest, AnAuditOrderReachesTheHolderAndNobodyElse) {
  EXPECT_FALSE(hub_->Audit({0, 1}, "", "pods")) << "nobody holds it";
  auto agent = Holder();
  EXPECT_TRUE(hub_->Audit({0, 1}, "apps", "deployments"));
  agent->Settle();
  const v1::ChangesDown& last = agent->changes.messages.back();
  ASSERT_TRUE(last.has_audit_order());
  EXPECT_EQ(last.audit_order().group(), "apps");
  EXPECT_EQ(last.audit_order().resource(), "deployments");
  EXPECT_EQ(last.audit_order().term(), agent->grant()->term());
}

TEST_F(HubAuditsTest, TheAgentLearnsWhetherItsListProvedTheRows) {
  auto agent = Holder();
  const auto ends = [&](char id, bool counted) {
    agent->Ask(id);
    v1::Payload payload = PayloadOf();
    AddBegin(&payload, id);
    AddEnd(&payload, id);
    if (!counted) payload.mutable_entries(1)->mutable_snapshot_end()->clear_sum();
    agent->SendBatch(payload);
    std::string said;
    for (const auto& one : agent->changes.messages) {
      if (!one.has_snapshot_done()) continue;
      said = one.snapshot_done().snapshot_id().substr(0, 1) +
             (one.snapshot_done().verified() ? " verified" : " not");
    }
    return said;
  };
  EXPECT_EQ(ends('1', true), "1 verified");
  EXPECT_EQ(ends('2', false), "2 not");
}

TEST_F(HubAuditsTest, ADatabaseThatLostCommitsIsAuditedWhole) {
  auto agent = Holder();
  agent->SendBatch(Upserts("a"));
  const v1::Grant before = *agent->grant();
  agent->Leave();
  TestAgent returns(&network_, &loop_, "agent", "again",
                    TestAgent::Seen{before.account_uid(), before.store_epoch(), 7});
  returns.Claim("prod");
  returns.OpenChanges();
  ASSERT_NE(returns.grant(), nullptr);
  EXPECT_GT(returns.grant()->store_epoch(), before.store_epoch());
  ASSERT_TRUE(returns.changes.messages.back().has_audit_order());
  EXPECT_EQ(returns.changes.messages.back().audit_order().resource(), "");
}

// Rows out of the scope go under a term of their own, and the one after it sees no loss.
TEST_F(HubAuditsTest, ALossIsAuditedThoughTheScopeChangedMeanwhile) {
  auto agent = Holder();
  v1::Payload payload = Upserts("a");
  payload.add_entries()->mutable_checkpoint()->set_resource_version("10");
  agent->SendBatch(payload);
  const v1::Grant before = *agent->grant();
  agent->Leave();
  PutAccount("prod", 1, "2", "", {"deployment"});
  TestAgent returns(&network_, &loop_, "agent", "again",
                    TestAgent::Seen{before.account_uid(), before.store_epoch(), 7});
  returns.Claim("prod");
  returns.OpenChanges();
  ASSERT_NE(returns.grant(), nullptr);
  EXPECT_THAT(Rows(), ::testing::IsEmpty());
  EXPECT_TRUE(returns.changes.messages.back().has_audit_order());
}

TEST_F(HubAuditsTest, APositionSaysHowLongAgoItsRowsWereProven) {
  auto agent = Holder();
  agent->Ask('1');
  v1::Payload payload = PayloadOf();
  AddBegin(&payload, '1');
  AddEnd(&payload, '1');
  agent->SendBatch(payload);
  agent->Leave();
  loop_.Advance(minutes(3));
  auto next = Holder();
  const v1::Positions& positions = next->changes.messages.at(0).positions();
  ASSERT_EQ(positions.positions_size(), 1);
  EXPECT_TRUE(positions.positions(0).has_verified_age_ms());
  EXPECT_NEAR(static_cast<double>(positions.positions(0).verified_age_ms()), 180'000, 2000);
}

TEST_F(HubAuditsTest, SyncedIsWhatTheHolderSaysOfItsWatchesButForWhatTheClusterRefuses) {
  auto agent = Holder();
  const base::U128 uid{0, 1};
  EXPECT_FALSE(board_.Get(uid).synced) << "it said nothing yet";
  v1::AccountStatus status;
  status.set_fresh_ms(2000);
  v1::KindState* kind = status.add_kinds();
  kind->set_resource("pods");
  for (const char* state : {"Watching", "Forbidden", "Missing", "Unwatched"}) {
    kind->set_state(state);
    agent->Say(status);
    EXPECT_TRUE(board_.Get(uid).synced) << state;
  }
  for (const char* state : {"Listing", "Backoff", "Checking", "Admission"}) {
    kind->set_state(state);
    agent->Say(status);
    EXPECT_FALSE(board_.Get(uid).synced) << state;
  }
  status.clear_kinds();
  agent->Say(status);
  EXPECT_TRUE(board_.Get(uid).synced);
  agent->Leave();
  EXPECT_FALSE(board_.Get(uid).synced);
}

TEST_F(HubAuditsTest, WhatAnAgentSaidOfFreshnessOutlivesIt) {
  auto agent = Holder();
  v1::AccountStatus status;
  status.set_fresh_ms(2000);
  agent->Say(status);
  const base::Time said = board_.Freshness({0, 1}).reported_at;
  agent->Leave();
  auto next = Holder();
  const AccountFreshness kept = board_.Freshness({0, 1});
  EXPECT_FALSE(kept.reported);
  EXPECT_EQ(kept.reported_at, said);
  EXPECT_EQ(kept.fresh_ms, 2000);
  EXPECT_GT(kept.granted_at, said);
}

TEST_F(HubAuditsTest, AnAccountWrittenByAnotherBeginsAnew) {
  auto agent = Holder();
  const uint64_t term = agent->grant()->term();
  hub_->Fenced({0, 1}, "confirmed");
  loop_.Advance(seconds(2));
  ASSERT_NE(agent->grant(), nullptr);
  EXPECT_GT(agent->grant()->term(), term);
}

}  // namespace
}  // namespace fairlead::endpoint
