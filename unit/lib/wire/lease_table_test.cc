#include "lib/wire/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::wire {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = LeaseTable::Action::Kind;

constexpr base::U128 kUid{1, 1};
constexpr base::Duration kLease = base::milliseconds(1650);

MATCHER_P(Begin, session, "") { return arg.kind == Kind::kBegin && arg.session == session; }
MATCHER_P2(Revoke, session, reason, "") {
  return arg.kind == Kind::kRevoke && arg.session == session && arg.reason == reason;
}
MATCHER_P2(Refuse, session, reason, "") {
  return arg.kind == Kind::kRefuse && arg.session == session && arg.reason == reason;
}
MATCHER_P2(Offer, session, term, "") {
  return arg.kind == Kind::kOffer && arg.session == session && arg.term == term;
}
MATCHER(Leave, "") { return arg.kind == Kind::kLeave; }

// A table with account "prod" that trusts identity "eu", and a clock that ticks every 100 ms.
class LeaseTableTest : public ::testing::Test {
 protected:
  LeaseTableTest() {
    EXPECT_THAT(table_.PutAccount(Account(), now_), IsEmpty());
    EXPECT_THAT(table_.Tick(now_), IsEmpty());
  }

  static LeaseTable::Account Account() { return {kUid, "prod", "cluster-1", {"eu"}}; }

  LeaseTable::Actions Join(uint64_t session, const std::string& identity = "eu",
                           const std::string& cluster = "cluster-1") {
    table_.OpenSession(session, identity, kLease, now_);
    return table_.AddClaims(session, {{"prod", cluster}}, now_);
  }
  // Joins and commits the grant's term.
  void Hold(uint64_t session, uint64_t term) {
    const LeaseTable::Actions actions = Join(session);
    ASSERT_THAT(actions, ElementsAre(Begin(session)));
    ASSERT_TRUE(table_.Began(kUid, actions[0].attempt, term));
  }
  // Passes time; sessions in `beating` are heard before each tick.
  LeaseTable::Actions Pass(base::Duration time, const std::vector<uint64_t>& beating) {
    LeaseTable::Actions all;
    for (base::Duration done{}; done < time; done += base::milliseconds(100)) {
      now_ += base::milliseconds(100);
      for (const uint64_t session : beating) table_.Heard(session, now_);
      for (auto& action : table_.Tick(now_)) all.push_back(action);
    }
    return all;
  }

  base::Time now_{base::hours(1)};
  LeaseTable table_{LeaseTable::Options{}};
};

TEST_F(LeaseTableTest, GrantsToTheFirstEligibleClaimOnly) {
  EXPECT_THAT(Join(1), ElementsAre(Begin(1U)));
  EXPECT_THAT(Join(2), IsEmpty());
  EXPECT_EQ(table_.Standbys(kUid, now_), 1U);
}

TEST_F(LeaseTableTest, RefusesAnIdentityTheAccountDoesNotTrust) {
  EXPECT_THAT(Join(1, "intruder"), ElementsAre(Refuse(1U, "IdentityNotTrusted")));
  EXPECT_FALSE(table_.Holder(kUid).has_value());
}

TEST_F(LeaseTableTest, RefusesAnotherClusterAndAnUnreadClusterUid) {
  EXPECT_THAT(Join(1, "eu", "cluster-2"), ElementsAre(Refuse(1U, "ClusterUidMismatch")));
  EXPECT_THAT(Join(2, "eu", ""), ElementsAre(Refuse(2U, "ClusterUidMismatch")));
}

TEST_F(LeaseTableTest, AnUnpinnedAccountTakesAnyCluster) {
  LeaseTable::Account account = Account();
  account.pinned_cluster_uid.clear();
  ASSERT_THAT(table_.PutAccount(account, now_), IsEmpty());
  EXPECT_THAT(Join(1, "eu", ""), ElementsAre(Begin(1U)));
}

TEST_F(LeaseTableTest, AnUnknownAccountIsRefusedOnceAndGrantedWhenItAppears) {
  table_.OpenSession(1, "eu", kLease, now_);
  EXPECT_THAT(table_.AddClaims(1, {{"late", "c"}}, now_),
              ElementsAre(Refuse(1U, "UnknownAccount")));
  EXPECT_THAT(table_.AddClaims(1, {{"late", "c"}}, now_), IsEmpty());
  EXPECT_THAT(table_.PutAccount({{2, 2}, "late", "", {"eu"}}, now_), ElementsAre(Begin(1U)));
}

TEST_F(LeaseTableTest, TheStandbyIsGrantedAtOnceWhenTheHolderGoes) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  EXPECT_THAT(table_.CloseSession(1, now_), ElementsAre(Begin(2U)));
}

TEST_F(LeaseTableTest, SilenceMovesTheGrantToALiveStandbyWithinTwoSeconds) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  EXPECT_THAT(Pass(base::seconds(2), {2}), ElementsAre(Revoke(1U, "BeatsStopped"), Begin(2U)));
}

TEST_F(LeaseTableTest, SilenceWithoutAStandbyHereRevokesNothingAndOffersTheAccountElsewhere) {
  Hold(1, 5);
  EXPECT_THAT(Pass(base::milliseconds(2500), {}), ElementsAre(Offer(1U, 5U)));
  EXPECT_THAT(Pass(base::seconds(1), {}), ElementsAre(Offer(1U, 5U))) << "again, once a second";
  EXPECT_EQ(table_.Holder(kUid)->session, 1U);
}

TEST_F(LeaseTableTest, ASilentStandbyIsNotGivenTheAccount) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  EXPECT_THAT(Pass(base::seconds(5), {}), Each(Offer(1U, 5U)));
}

TEST_F(LeaseTableTest, NoSecondRevocationForSilenceWithinTenSeconds) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  ASSERT_THAT(Pass(base::seconds(2), {2}), ElementsAre(Revoke(1U, "BeatsStopped"), Begin(2U)));
  EXPECT_THAT(Pass(base::seconds(9), {1}), IsEmpty());
  EXPECT_THAT(Pass(base::seconds(2), {1}), ElementsAre(Revoke(2U, "BeatsStopped"), Begin(1U)));
}

TEST_F(LeaseTableTest, AJudgeThatWasLateItselfRestartsEveryTimer) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  now_ += base::seconds(5);
  table_.Heard(2, now_);
  EXPECT_THAT(table_.Tick(now_), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(1500), {2}), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(500), {2}),
              ElementsAre(Revoke(1U, "BeatsStopped"), Begin(2U)));
}

TEST_F(LeaseTableTest, WithdrawnTrustRevokesAtOnceAndGrantsToTheNext) {
  Hold(1, 5);
  table_.OpenSession(2, "us", kLease, now_);
  ASSERT_THAT(table_.AddClaims(2, {{"prod", "cluster-1"}}, now_),
              ElementsAre(Refuse(2U, "IdentityNotTrusted")));
  LeaseTable::Account account = Account();
  account.identities = {"us"};
  EXPECT_THAT(
      table_.PutAccount(account, now_),
      ElementsAre(Refuse(1U, "IdentityNotTrusted"), Revoke(1U, "IdentityNotTrusted"), Begin(2U)));
}

TEST_F(LeaseTableTest, DeletingTheAccountWithdrawsItsGrant) {
  Hold(1, 5);
  EXPECT_THAT(table_.RemoveAccount(kUid, now_),
              ElementsAre(Revoke(1U, "AccountDeleted"), Leave(), Refuse(1U, "UnknownAccount")));
  EXPECT_FALSE(table_.Holder(kUid).has_value());
}

TEST_F(LeaseTableTest, AnAccountMadeAgainUnderItsNameIsAnotherAccount) {
  Hold(1, 5);
  LeaseTable::Account again = Account();
  again.uid = {2, 2};
  const LeaseTable::Actions actions = table_.PutAccount(again, now_);
  EXPECT_THAT(actions, ElementsAre(Revoke(1U, "AccountDeleted"), Leave(),
                                   Refuse(1U, "UnknownAccount"), Begin(1U)));
  EXPECT_EQ(actions.back().account, again.uid);
}

TEST_F(LeaseTableTest, ATermThatArrivesAfterItsSessionWentIsNotWanted) {
  const LeaseTable::Actions first = Join(1);
  ASSERT_THAT(first, ElementsAre(Begin(1U)));
  ASSERT_THAT(table_.CloseSession(1, now_), ElementsAre(Leave()));
  EXPECT_FALSE(table_.Began(kUid, first[0].attempt, 6));
}

TEST_F(LeaseTableTest, ATermOfAnEarlierAttemptIsNotGivenToTheNextSession) {
  const LeaseTable::Actions first = Join(1);
  ASSERT_THAT(Join(2), IsEmpty());
  const LeaseTable::Actions second = table_.CloseSession(1, now_);
  ASSERT_THAT(second, ElementsAre(Begin(2U)));
  EXPECT_FALSE(table_.Began(kUid, first[0].attempt, 6));
  EXPECT_TRUE(table_.Began(kUid, second[0].attempt, 7));
  EXPECT_EQ(table_.Holder(kUid)->term, 7U);
}

TEST_F(LeaseTableTest, AFailedAttemptIsRepeatedAfterAWhile) {
  const LeaseTable::Actions first = Join(1);
  table_.BeginFailed(kUid, first[0].attempt, now_);
  EXPECT_THAT(Pass(base::milliseconds(900), {1}), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(200), {1}), ElementsAre(Begin(1U)));
}

TEST_F(LeaseTableTest, ABrokenGrantIsRevokedAndGivenAgainAfterAWhile) {
  Hold(1, 5);
  EXPECT_THAT(table_.Restart(kUid, "SequenceGap", now_), ElementsAre(Revoke(1U, "SequenceGap")));
  EXPECT_THAT(Pass(base::seconds(1), {1}), ElementsAre(Begin(1U)));
}

TEST_F(LeaseTableTest, AClaimThatChangesToAnotherClusterLosesTheGrant) {
  Hold(1, 5);
  EXPECT_THAT(
      table_.AddClaims(1, {{"prod", "cluster-2"}}, now_),
      ElementsAre(Refuse(1U, "ClusterUidMismatch"), Revoke(1U, "ClusterUidMismatch"), Leave()));
}

TEST_F(LeaseTableTest, AnAccountThatAnotherReplicaHasIsAskedForAgainOnlyWhenItIsFree) {
  const LeaseTable::Actions begun = Join(1);
  table_.BeginElsewhere(kUid, begun.at(0).attempt);
  EXPECT_FALSE(table_.Holder(kUid).has_value());
  EXPECT_EQ(table_.Standbys(kUid, now_), 1U);
  EXPECT_THAT(Pass(base::seconds(20), {1}), IsEmpty());
  EXPECT_THAT(table_.Freed(kUid, now_), ElementsAre(Begin(1U)));
}

TEST_F(LeaseTableTest, AnAgentThatComesFromAnotherReplicaIsAskedForThoughAStandbyHereWaits) {
  table_.BeginElsewhere(kUid, Join(1).at(0).attempt);
  const LeaseTable::Actions begun = Join(2);
  ASSERT_THAT(begun, ElementsAre(Begin(2U)));
  ASSERT_TRUE(table_.Began(kUid, begun[0].attempt, 7));
  EXPECT_EQ(table_.Holder(kUid)->session, 2U);
  EXPECT_THAT(table_.CloseSession(2, now_), ElementsAre(Begin(1U))) << "it waits no more";
}

TEST_F(LeaseTableTest, AnAccountIsLeftWhenItsLastAgentHereGoes) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  const LeaseTable::Actions next = table_.CloseSession(1, now_);
  ASSERT_THAT(next, ElementsAre(Begin(2U)));
  ASSERT_TRUE(table_.Began(kUid, next[0].attempt, 6));
  EXPECT_THAT(table_.CloseSession(2, now_), ElementsAre(Leave()));
}

TEST_F(LeaseTableTest, NobodyWaitsForAnAccountOfAnotherReplicaWhenTheLastStandbyIsGone) {
  table_.BeginElsewhere(kUid, Join(1).at(0).attempt);
  table_.BeginElsewhere(kUid, Join(2).at(0).attempt);
  EXPECT_THAT(table_.CloseSession(1, now_), IsEmpty());
  EXPECT_THAT(table_.CloseSession(2, now_), ElementsAre(Leave()));
  EXPECT_THAT(table_.CloseSession(2, now_), IsEmpty());
}

TEST_F(LeaseTableTest, NobodyWaitsForAnAccountThatIsRemovedOrTrustsTheAgentNoMore) {
  table_.BeginElsewhere(kUid, Join(1).at(0).attempt);
  LeaseTable::Account account = Account();
  account.identities = {"us"};
  EXPECT_THAT(table_.PutAccount(account, now_),
              ElementsAre(Refuse(1U, "IdentityNotTrusted"), Leave()));
  table_.OpenSession(2, "us", kLease, now_);
  const LeaseTable::Actions begun = table_.AddClaims(2, {{"prod", "cluster-1"}}, now_);
  ASSERT_THAT(begun, ElementsAre(Begin(2U)));
  table_.BeginElsewhere(kUid, begun[0].attempt);
  EXPECT_THAT(table_.RemoveAccount(kUid, now_),
              ElementsAre(Leave(), Refuse(1U, "UnknownAccount"), Refuse(2U, "UnknownAccount")));
}

// Whoever carries it out finds the term made, and nobody who wants it.
TEST_F(LeaseTableTest, AnAccountIsLeftThoughItsTermIsStillOnItsWay) {
  Hold(1, 5);
  ASSERT_THAT(Join(2), IsEmpty());
  const LeaseTable::Actions next = table_.CloseSession(1, now_);
  ASSERT_THAT(next, ElementsAre(Begin(2U)));
  EXPECT_THAT(table_.CloseSession(2, now_), ElementsAre(Leave()));
  EXPECT_FALSE(table_.Began(kUid, next[0].attempt, 6));
}

}  // namespace
}  // namespace fairlead::wire
