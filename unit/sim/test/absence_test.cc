#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "endpoint/freshness/state.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/sql/connection.h"
#include "unit/sim/world.h"

// Invariants 4, 8 and 9 with everything real but the network: what is not seen is not deleted, what
// was changed by hand is found, and how fresh rows are is said truly.
namespace fairlead::sim {
namespace {

using base::milliseconds;
using base::minutes;
using base::seconds;
using endpoint::Freshness;

constexpr int kFew = 5;    // rows of a kind that protection lets go
constexpr int kMany = 40;  // and that it holds

class AbsenceTest : public ::testing::Test {
 protected:
  AbsenceTest() {
    log::SetLevel("off");
    database_ =
        std::filesystem::temp_directory_path() / base::StrCat("fairlead_absence.", getpid(), ".db");
    Remove();
    world_ = std::make_unique<World>(
        WorldOptions{.database = database_, .most_delete_percent = 30, .most_delete_count = 500});
    world_->StartEndpoint();
    kube().Serve({"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                  "CustomResourceDefinition", false});
    kube().Serve({"apiregistration.k8s.io", "v1", "apiservices", "APIService", false});
    kube().Put("apiservices", "", "v1.example.com", R"("spec":{"group":"example.com"})");
    kube().Put("customresourcedefinitions", "", "widgets.example.com");
    for (int i = 0; i < kMany; ++i) kube().Put("pods", "shop", base::StrCat("pod-", i));
    for (int i = 0; i < kFew; ++i) kube().Put("widgets", "shop", base::StrCat("widget-", i));
    world_->StartAgent(0);
    world_->Advance(minutes(1));
    EXPECT_EQ(world_->Difference(), "");
  }
  ~AbsenceTest() override {
    world_.reset();
    Remove();
  }
  void Remove() {
    for (const char* more : {"", "-wal", "-shm"}) std::filesystem::remove(database_ + more);
  }
  fakes::FakeKube& kube() { return world_->kube(0); }
  // Rows of a kind, held ones counted apart.
  std::pair<int, int> Rows(const std::string& resource) {
    endpoint::store::ObjectPageRequest all;
    all.filter.kind = resource;
    all.limit = 5000;
    std::pair<int, int> rows;
    const auto page = world_->reader().Objects(all);
    for (const auto& one : page->objects) {
      ++(one.held ? rows.second : rows.first);
    }
    return rows;
  }
  void ExpectNothingLost() {
    EXPECT_EQ(Rows("pods"), std::make_pair(kMany, 0));
    EXPECT_EQ(Rows("widgets"), std::make_pair(kFew, 0));
  }
  void RestartAgent() {
    world_->CrashAgent(0);
    world_->Advance(seconds(1));
    world_->StartAgent(0);
  }
  // Everything under way fails in the one way, for a running agent and for one that starts; then
  // all is well again.
  void Suffer(const std::string& part, const fakes::Fault& fault) {
    kube().Compact();  // what is lost needs a whole list
    kube().Inject(part, fault, 1'000'000);
    kube().EndWatches("pods", true);
    kube().EndWatches("widgets", true);
    world_->Advance(minutes(10));
    ExpectNothingLost();
    RestartAgent();
    world_->Advance(minutes(10));
    ExpectNothingLost();
    kube().ClearFaults();
    world_->Advance(minutes(5));
    EXPECT_EQ(world_->Difference(), "");
    ExpectNothingLost();
  }
  std::map<std::string, endpoint::WatchReport> Reports() {
    std::map<std::string, endpoint::WatchReport> out;
    const auto positions = world_->reader().Positions({world_->Uid(0), 0}, false);
    const base::Clock& clock = world_->loop().clock();
    for (auto& one :
         endpoint::Report(*positions, world_->board().Get(world_->Uid(0)),
                          world_->board().Own(world_->Uid(0)).granted,
                          world_->board().Freshness(world_->Uid(0)), clock.Now(), clock.WallMs())) {
      out[one.position.kind.resource] = one;
    }
    return out;
  }
  Freshness StateOf(const std::string& resource) { return Reports()[resource].freshness.state; }
  void ByHand(const std::string& sql) {
    ASSERT_TRUE(world_->store().connection().Execute(sql).ok());
  }
  void Audit() {
    ASSERT_TRUE(world_->hub().Audit(world_->Uid(0), "", ""));
    world_->Advance(seconds(5));
  }

  std::string database_;
  std::unique_ptr<World> world_;
};

TEST_F(AbsenceTest, A403DeletesNothing) {
  Suffer("/pods", {.status = 403, .reason = "Forbidden"});
  Suffer("/widgets", {.status = 403, .reason = "Forbidden"});
}

TEST_F(AbsenceTest, APathThatIsNotKnownDeletesNothing) {
  Suffer("/widgets", {.status = 404, .body = "404 page not found\n"});
}

TEST_F(AbsenceTest, AFailedDiscoveryDeletesNothing) {
  for (const char* path : {"GET /apis", "GET /api"}) {
    Suffer(path, {.status = 503, .reason = "ServiceUnavailable"});
  }
}

// As an aggregator that has just started answers, and one whose group's own server is away.
TEST_F(AbsenceTest, ADiscoveryThatLacksAKindDeletesNothing) {
  kube().Delete("customresourcedefinitions", "", "widgets.example.com");  // it never had one
  kube().Put("apiservices", "", "v1.example.com",
             R"("spec":{"group":"example.com","service":{"name":"widgets"}})");
  for (const char* groups :
       {"", R"({"metadata":{"name":"example.com"},"versions":[{"version":"v1","resources":[],)"
            R"("freshness":"Stale"}]})"}) {
    kube().Inject("GET /apis/example.com", {.status = 404, .body = "404 page not found\n"},
                  1'000'000);
    kube().Inject("GET /apis/api", {.cut_after = 1'000'000}, 1'000'000);  // those answer
    Suffer("GET /apis",
           {.status = 200,
            .body = base::StrCat(R"({"kind":"APIGroupDiscoveryList","items":[)", groups, "]}")});
  }
}

TEST_F(AbsenceTest, AListThatIsCutDeletesNothing) { Suffer("/pods?limit=500", {.cut_after = 700}); }

TEST_F(AbsenceTest, AListThatNeverComesDeletesNothing) {
  Suffer("/pods?limit=500", {.never = true});
}

TEST_F(AbsenceTest, AClusterThatIsAwayDeletesNothing) {
  world_->SetReachable(0, false);
  world_->Advance(minutes(30));
  RestartAgent();
  world_->Advance(minutes(30));
  ExpectNothingLost();
}

TEST_F(AbsenceTest, AMissingAgentDeletesNothing) {
  world_->CrashAgent(0);
  world_->Advance(base::hours(2));
  ExpectNothingLost();
}

// A whole quorum list is the truth, and even so not more goes than the account's protection allows.
TEST_F(AbsenceTest, AnEmptyListHoldsWhatIsBeyondTheProtection) {
  world_->CrashAgent(0);
  for (int i = 0; i < kMany; ++i) kube().Delete("pods", "shop", base::StrCat("pod-", i));
  kube().Compact();
  world_->StartAgent(0);
  world_->Advance(minutes(1));
  EXPECT_EQ(Rows("pods"), std::make_pair(0, kMany));
  EXPECT_EQ(StateOf("pods"), Freshness::kHeld);
  kube().Put("pods", "shop", "pod-1");
  world_->Advance(seconds(5));
  EXPECT_EQ(Rows("pods"), std::make_pair(1, kMany - 1)) << "what is there again is not held";
}

TEST_F(AbsenceTest, AKindWhoseDefinitionIsGoneLosesItsRows) {
  kube().Delete("customresourcedefinitions", "", "widgets.example.com");
  kube().Unserve("widgets");
  world_->Advance(minutes(3));
  EXPECT_EQ(Rows("widgets"), std::make_pair(0, 0));
  EXPECT_EQ(Reports().count("widgets"), 0U) << "nothing is left to be fresh";
  EXPECT_TRUE(world_->board().Get(world_->Uid(0)).synced);
}

TEST_F(AbsenceTest, ADefinitionThatWentWhileTheAgentWasAwayIsNoticed) {
  world_->CrashAgent(0);
  kube().Delete("customresourcedefinitions", "", "widgets.example.com");
  kube().Unserve("widgets");
  world_->StartAgent(0);
  world_->Advance(minutes(3));
  EXPECT_EQ(Rows("widgets"), std::make_pair(0, 0));
  EXPECT_EQ(Rows("pods"), std::make_pair(kMany, 0));
}

TEST_F(AbsenceTest, AKindThatComesBackHasItsRowsAgain) {
  kube().Delete("customresourcedefinitions", "", "widgets.example.com");
  kube().Unserve("widgets");
  world_->Advance(minutes(3));
  kube().Put("customresourcedefinitions", "", "widgets.example.com");
  kube().Serve({"example.com", "v1", "widgets", "Widget"});
  kube().Put("widgets", "shop", "again");
  world_->Advance(minutes(3));
  EXPECT_EQ(world_->Difference(), "");
  EXPECT_EQ(Rows("widgets"), std::make_pair(1, 0));
}

TEST_F(AbsenceTest, ADefinitionThatIsThereOrMayNotBeReadKeepsTheRows) {
  kube().Unserve("widgets");
  world_->Advance(minutes(10));
  EXPECT_EQ(Rows("widgets"), std::make_pair(kFew, 0)) << "it is there";
  kube().Delete("customresourcedefinitions", "", "widgets.example.com");
  kube().Inject("/customresourcedefinitions", {.status = 403, .reason = "Forbidden"}, 1'000'000);
  world_->Advance(minutes(10));
  EXPECT_EQ(Rows("widgets"), std::make_pair(kFew, 0)) << "nobody may say";
  kube().ClearFaults();
  kube().Inject("/apiservices", {.status = 403, .reason = "Forbidden"}, 1'000'000);
  world_->Advance(minutes(10));
  EXPECT_EQ(Rows("widgets"), std::make_pair(kFew, 0)) << "another server may have it";
}

TEST_F(AbsenceTest, RowsChangedByHandAreFoundByAnAuditAndRepaired) {
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
  ByHand("DELETE FROM objects WHERE name IN ('pod-1', 'pod-2')");
  ByHand(
      "UPDATE objects SET body = (SELECT body FROM objects WHERE name = 'pod-4'), content_hash = "
      "(SELECT content_hash FROM objects WHERE name = 'pod-4') WHERE name = 'pod-3'");
  ByHand(
      "UPDATE objects SET body = (SELECT body FROM objects WHERE name = 'pod-4') WHERE name = "
      "'pod-5'");
  EXPECT_NE(world_->Difference(), "");
  Audit();
  EXPECT_EQ(world_->Difference(), "");
  EXPECT_EQ(StateOf("pods"), Freshness::kInSync) << "something was wrong";
  world_->Advance(minutes(1));
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified) << "another audit followed";
}

TEST_F(AbsenceTest, RowsChangedByHandAreFoundWithinAboutADayWithoutAnOrder) {
  ByHand("DELETE FROM objects WHERE name = 'pod-1'");
  world_->Advance(base::hours(21));
  EXPECT_NE(world_->Difference(), "") << "not before";
  world_->Advance(base::hours(6));
  EXPECT_EQ(world_->Difference(), "");
}

TEST_F(AbsenceTest, AnAuditDoesNotMakeAnAccountLookOutOfSync) {
  kube().Inject("/pods?limit=500", {.never = true});
  Audit();
  world_->Advance(seconds(10));  // the page is still waited for
  EXPECT_TRUE(world_->board().Get(world_->Uid(0)).synced);
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
  EXPECT_EQ(Reports()["pods"].facts.agent_state, "Watching");
}

// Bookmarks keep a quiet cluster fresh, and nothing is written for it.
TEST_F(AbsenceTest, AQuietClusterStaysFreshByBookmarksAndWritesNothing) {
  for (int i = 0; i < 12; ++i) {
    for (const char* kind : World::kKinds) kube().Bookmark(kind);
    world_->Advance(minutes(1));
  }
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
  EXPECT_LE(Reports()["pods"].facts.age_ms, 90'000);
}

TEST_F(AbsenceTest, ThroughAnAgentsDeathTheAgeGrowsTheStateTurnsAndComesBack) {
  for (const char* kind : World::kKinds) kube().Bookmark(kind);
  world_->Advance(seconds(31));
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
  world_->CrashAgent(0);
  world_->Advance(minutes(1));
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
  EXPECT_GE(Reports()["pods"].facts.age_ms, 60'000);
  EXPECT_EQ(Reports()["pods"].freshness.detail, "no agent holds the account");
  world_->Advance(minutes(2));
  EXPECT_EQ(StateOf("pods"), Freshness::kStale);
  EXPECT_GE(Reports()["pods"].facts.age_ms, 180'000);
  world_->StartAgent(0);
  world_->Advance(seconds(10));
  EXPECT_NE(StateOf("pods"), Freshness::kStale);
  for (const char* kind : World::kKinds) kube().Bookmark(kind);
  world_->Advance(seconds(31));
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
}

TEST_F(AbsenceTest, WhatTheWriterHoldsUpIsNotCalledFresh) {
  world_->writer().SetPaused(true);
  kube().Put("pods", "shop", "late");
  world_->Advance(minutes(6));
  for (const char* kind : World::kKinds) kube().Bookmark(kind);
  world_->Advance(seconds(31));
  EXPECT_GE(Reports()["pods"].facts.age_ms, base::AgeMs(minutes(6)));
  EXPECT_EQ(StateOf("pods"), Freshness::kStale);
  world_->writer().SetPaused(false);
  world_->Advance(seconds(1));
  for (const char* kind : World::kKinds) kube().Bookmark(kind);
  world_->Advance(seconds(31));
  EXPECT_EQ(StateOf("pods"), Freshness::kVerified);
}

}  // namespace
}  // namespace fairlead::sim
