#include "endpoint/freshness/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::endpoint {
namespace {

using base::AgeMs;
using base::hours;
using base::minutes;
using base::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kWall = 1'700'000'000'000;
const base::Time kNow = base::Time() + hours(100);

WatchFacts Healthy() {
  return {.granted = true,
          .granted_age_ms = AgeMs(hours(1)),
          .listed = true,
          .agent_state = kSaysWatching,
          .age_ms = 1000,
          .verified_age_ms = AgeMs(hours(1))};
}

TEST(Freshness, ProvenInTheLastTwoDaysIsVerifiedElseInSync) {
  WatchFacts facts = Healthy();
  EXPECT_EQ(Judge(facts).state, Freshness::kVerified);
  facts.verified_age_ms = AgeMs(kProofLasts);
  EXPECT_EQ(Judge(facts).state, Freshness::kVerified);
  ++facts.verified_age_ms;
  EXPECT_EQ(Judge(facts).state, Freshness::kInSync);
  facts.verified_age_ms = -1;
  EXPECT_EQ(Judge(facts).state, Freshness::kInSync);
  EXPECT_THAT(Judge(facts).detail, HasSubstr("not proven"));
}

TEST(Freshness, WithoutAWholeListItIsSyncingOrWithoutAnAgentStale) {
  WatchFacts facts = Healthy();
  facts.listed = false;
  EXPECT_EQ(Judge(facts).state, Freshness::kSyncing);
  facts.granted = false;
  EXPECT_EQ(Judge(facts).state, Freshness::kStale);
  EXPECT_EQ(Judge(facts).detail, "no agent holds the account");
}

TEST(Freshness, AnotherWholeListIsSyncingHoweverOld) {
  WatchFacts facts = Healthy();
  facts.agent_state = "Listing";
  facts.age_ms = AgeMs(hours(9));
  EXPECT_EQ(Judge(facts).state, Freshness::kSyncing);
}

TEST(Freshness, SilenceIsStaleAfterFiveMinutes) {
  WatchFacts facts = Healthy();
  facts.age_ms = AgeMs(kStaleWatched);
  EXPECT_EQ(Judge(facts).state, Freshness::kVerified);
  ++facts.age_ms;
  EXPECT_EQ(Judge(facts).state, Freshness::kStale);
  facts.age_ms = -1;
  EXPECT_EQ(Judge(facts).state, Freshness::kStale);
}

TEST(Freshness, WithoutAnAgentOrItsClusterItIsStaleAfterTwo) {
  for (const bool granted : {true, false}) {
    WatchFacts facts = Healthy();
    facts.granted = granted;
    facts.agent_state = granted ? kSaysBackoff : "";
    facts.age_ms = AgeMs(kStaleUnwatched);
    EXPECT_EQ(Judge(facts).state, Freshness::kVerified);
    EXPECT_NE(Judge(facts).detail, "") << "it says what is missing";
    ++facts.age_ms;
    EXPECT_EQ(Judge(facts).state, Freshness::kStale);
  }
}

// Else every restart of an endpoint would look as if all its clusters had been lost.
TEST(Freshness, AWatchThatGoesOnWhereAnotherLeftOffHasTwoMinutesToHearSomething) {
  WatchFacts facts = Healthy();
  facts.age_ms = AgeMs(minutes(20));
  facts.granted_age_ms = AgeMs(kCatchUp);
  EXPECT_EQ(Judge(facts).state, Freshness::kSyncing);
  ++facts.granted_age_ms;
  EXPECT_EQ(Judge(facts).state, Freshness::kStale);
}

TEST(Freshness, WhatTheClusterRefusesIsForbidden) {
  WatchFacts facts = Healthy();
  facts.agent_state = kSaysForbidden;
  facts.agent_detail = "403";
  EXPECT_EQ(Judge(facts).state, Freshness::kForbidden);
  facts.granted = false;
  EXPECT_NE(Judge(facts).state, Freshness::kForbidden) << "nobody says so any more";
}

TEST(Freshness, HeldRowsAreSaidUnlessAllIsStale) {
  WatchFacts facts = Healthy();
  facts.held = 12;
  EXPECT_EQ(Judge(facts).state, Freshness::kHeld);
  EXPECT_THAT(Judge(facts).detail, HasSubstr("12 rows"));
  facts.age_ms = AgeMs(hours(1));
  EXPECT_EQ(Judge(facts).state, Freshness::kStale);
}

class ReportTest : public ::testing::Test {
 protected:
  ReportTest() {
    live_.granted = true;
    said_.granted_at = kNow - hours(1);
    said_.reported = true;
    said_.reported_at = kNow - seconds(20);
    said_.fresh_ms = 30'000;
  }
  static store::Position At(const std::string& resource, base::Duration fresh) {
    store::Position position;
    position.kind = {"", resource, resource, "v1", true};
    position.resource_version = "7";
    position.fresh_ms = kWall - AgeMs(fresh);
    position.verified_ms = kWall - AgeMs(hours(3));
    return position;
  }
  [[nodiscard]] std::vector<WatchReport> Made(const std::vector<store::Position>& positions) const {
    return Report(positions, live_, live_.granted, said_, kNow, kWall);
  }
  AccountLive live_;
  AccountFreshness said_;
};

TEST_F(ReportTest, TheYoungerOfWhatIsStoredAndWhatTheAgentSaidCounts) {
  EXPECT_EQ(Made({At("pods", minutes(10))})[0].facts.age_ms, 50'000) << "said 20 s ago: 30 s";
  EXPECT_EQ(Made({At("pods", seconds(5))})[0].facts.age_ms, 5000);
  EXPECT_EQ(Made({At("pods", seconds(5))})[0].facts.verified_age_ms, AgeMs(hours(3)));
}

TEST_F(ReportTest, AWatchThatTheAgentNamesHasItsOwnAge) {
  said_.watches = {{"", "pods", "", kSaysWatching, "", 200'000},
                   {"", "jobs", "", "Listing", "", {}}};
  const auto made =
      Made({At("pods", minutes(10)), At("jobs", minutes(10)), At("secrets", minutes(10))});
  EXPECT_EQ(made[0].facts.age_ms, 220'000);
  EXPECT_EQ(made[1].facts.age_ms, AgeMs(minutes(10)));
  EXPECT_EQ(made[1].freshness.state, Freshness::kSyncing);
  EXPECT_EQ(made[2].facts.age_ms, 50'000);
}

// What the last agent said stays true, and grows old.
TEST_F(ReportTest, AfterTheAgentWentTheAgeGoesOnAndTurnsStale) {
  live_.granted = false;
  const auto made = Made({At("pods", minutes(10))});
  EXPECT_EQ(made[0].facts.age_ms, 50'000);
  EXPECT_EQ(made[0].freshness.state, Freshness::kVerified);
  const auto later =
      Report({At("pods", minutes(10))}, live_, false, said_, kNow + minutes(2), kWall);
  EXPECT_EQ(later[0].facts.age_ms, 170'000);
  EXPECT_EQ(later[0].freshness.state, Freshness::kStale);
}

// What another replica's agent says of ages stays there; that it is in sync is known here too.
TEST_F(ReportTest, AnAgentOfAnotherReplicaIsVouchedForOrNot) {
  said_ = {};
  live_.synced = true;
  auto made = Report({At("pods", minutes(20))}, live_, false, said_, kNow, kWall);
  EXPECT_EQ(made[0].freshness.state, Freshness::kVerified);
  EXPECT_EQ(made[0].facts.age_ms, AgeMs(minutes(20)));
  live_.synced = false;
  made = Report({At("pods", minutes(20))}, live_, false, said_, kNow, kWall);
  EXPECT_EQ(made[0].freshness.state, Freshness::kStale);
}

TEST_F(ReportTest, AKindWithoutRowsIsThereWhenTheAgentSpeaksOfItUnlessTheClusterHasItNot) {
  said_.watches = {{"", "pods", "", kSaysForbidden, "403", {}},
                   {"", "jobs", "", kSaysMissing, "", {}}};
  const auto made = Made({});
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_EQ(made[0].position.kind.resource, "pods");
  EXPECT_EQ(made[0].freshness.state, Freshness::kForbidden);
  EXPECT_EQ(made[0].facts.age_ms, -1);
  live_.granted = false;
  EXPECT_THAT(Made({}), IsEmpty());
}

// Of a scope that was changed: what the agent says of the rest is not true of it.
TEST_F(ReportTest, WhatIsNotWatchedAnyMoreGrowsOldAndIsGoneWithItsLastRow) {
  said_.watches = {{"", "pods", "", kSaysUnwatched, "", {}}};
  store::Position left = At("pods", minutes(10));
  left.count = 3;
  const auto made = Made({left});
  EXPECT_EQ(made[0].facts.age_ms, AgeMs(minutes(10)));
  EXPECT_EQ(made[0].freshness.state, Freshness::kStale);
  left.count = 0;
  EXPECT_THAT(Made({left}), IsEmpty());
}

TEST_F(ReportTest, AnAccountIsAsItsWorstWatch) {
  store::Position held = At("jobs", seconds(1));
  held.held = 3;
  EXPECT_EQ(Summary(Made({At("pods", seconds(1))})), Freshness::kVerified);
  EXPECT_EQ(Summary(Made({At("pods", seconds(1)), held})), Freshness::kHeld);
  said_.reported_at = kNow - hours(1);
  EXPECT_EQ(Summary(Made({At("pods", hours(1)), held})), Freshness::kStale);
  EXPECT_EQ(Summary({}), Freshness::kSyncing);
}

}  // namespace
}  // namespace fairlead::endpoint
