#include <gmock/gmock.h>

#include "unit/endpoint/store/store_scene.h"

// Rows that fall out of an account's scope.
namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class ScopeTest : public StoreScene {
 protected:
  static Change In(const std::string& name_space, const std::string& name,
                   const std::string& body = "{}") {
    Change change = Upsert(name, "5", body);
    change.name_space = name_space;
    return change;
  }
  // Pods of three namespaces, all of them seen by the watches.
  void Fill(const std::vector<std::string>& watches) {
    std::vector<Entry> entries;
    for (const std::string& watch : watches) {
      entries.emplace_back(Checkpoint{0, watch, 1, "10", "r", 0, {}});
    }
    Write(Make(a_, Next(), entries));
    Write(Make(a_, Next(), {In("x", "a"), In("x", "b"), In("y", "c"), In("z", "d")}));
    Write(Make(b_, 1, {In("x", "other")}));
    ExpectSumsTrue(a_);
  }
  BatchResult Keep(std::vector<std::string> watches) {
    return Write(Make(a_, Next(), {Rescope{0, std::move(watches)}}));
  }
  std::vector<std::string> Watches() {
    std::vector<std::string> watches;
    const auto positions = reader_->Positions(a_, false);
    for (const Position& one : *positions) {
      watches.push_back(one.watch + "@" + one.resource_version + "=" + std::to_string(one.count));
    }
    return watches;
  }
  uint64_t Next() { return LastSeq(a_) + 1; }
};

TEST_P(ScopeTest, AKindThatNobodyAsksForGoesAtOnceAndTheReaperTakesItsRows) {
  Fill({""});
  EXPECT_EQ(Keep({}).deleted, 4U);
  EXPECT_THAT(Rows(a_), IsEmpty());
  EXPECT_THAT(Watches(), IsEmpty());
  EXPECT_THAT(Rows(b_), ElementsAre("other={}"));
  while (*store_->Reap(2)) {
  }
  const auto left = store_->connection().Prepare("SELECT count(*) FROM objects");
  ASSERT_TRUE(*(*left)->Step());
  EXPECT_EQ((*left)->Int(0), 1);
}

TEST_P(ScopeTest, AKindThatComesBackBeginsAnew) {
  Fill({""});
  Keep({});
  Write(Make(a_, Next(), {In("x", "a")}));
  EXPECT_THAT(Rows(a_), ElementsAre("a={}"));
}

TEST_P(ScopeTest, ANamespaceThatIsNotWatchedAnyMoreGoesAndTheOthersGoOnWhereTheyAre) {
  Fill({"x", "y", "z"});
  EXPECT_EQ(Keep({"x", "z"}).deleted, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("a={}", "b={}", "d={}"));
  EXPECT_THAT(Watches(), UnorderedElementsAre("x@10=2", "z@10=1"));
  ExpectSumsTrue(a_);
}

// The new watches have rows to be compared with, and no version to go on from.
TEST_P(ScopeTest, OneWatchOfEverythingBecomesOneOfEachNamespace) {
  Fill({""});
  EXPECT_EQ(Keep({"x", "y"}).deleted, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("a={}", "b={}", "c={}"));
  EXPECT_THAT(Watches(), UnorderedElementsAre("x@=2", "y@=1"));
  ExpectSumsTrue(a_);
}

TEST_P(ScopeTest, WatchesOfNamespacesBecomeOneOfEverything) {
  Fill({"x", "y", "z"});
  EXPECT_EQ(Keep({""}).deleted, 0U);
  EXPECT_THAT(Rows(a_), SizeIs(4));
  EXPECT_THAT(Watches(), ElementsAre("@=4"));
  ExpectSumsTrue(a_);
}

TEST_P(ScopeTest, IsFencedAsEveryWrite) {
  Fill({""});
  Batch late = Make(a_, Next(), {Rescope{0, {}}});
  late.term = 9;
  EXPECT_FALSE(Write(late).status.ok());
  EXPECT_THAT(Rows(a_), SizeIs(4));
}

// 30 rows of which a list has none: more than protection allows.
class ScopeFilterTest : public ScopeTest {
 protected:
  BatchResult Empty(const ScopeFilter& filter) {
    Fill({""});
    std::vector<Entry> many;
    for (int i = 0; i < 15; ++i) {
      const std::string name = "p" + std::to_string(i);
      many.emplace_back(In("x", name,
                           R"({"metadata":{"name":"p","labels":{)"
                           R"("app.kubernetes.io/managed-by":"spinnaker"}}})"));
      many.emplace_back(In("w", name, R"({"metadata":{"name":"p"}})"));
    }
    Write(Make(a_, Next(), many));
    Batch batch = Make(a_, Next(), {Begin()});
    Write(batch);
    batch = Make(a_, Next(), {SnapshotEnd{kSnapshot, "20", 0, {}}});
    batch.scope = std::make_shared<ScopeFilter>(filter);
    BatchResult result = Write(batch);
    ExpectSumsTrue(a_);
    return result;
  }
};

TEST_P(ScopeFilterTest, RowsOfOmittedNamespacesAreNoLossAndOthersAreHeld) {
  const BatchResult result = Empty({.omit_namespaces = {"w"}});
  EXPECT_EQ(result.ended.at(0).deleted, 15U);
  EXPECT_EQ(result.ended.at(0).held, 19U);
}

// It was never deleted, so what comes of it later is not older than a delete.
TEST_P(ScopeFilterTest, WhatFellOutComesBackAsItWasWhenItIsWantedAgain) {
  Empty({.omit_namespaces = {"w"}});
  EXPECT_EQ(Write(Make(a_, Next(), {In("w", "p3")})).written, 1U);
}

TEST_P(ScopeFilterTest, WhatSpinnakerDoesNotManageIsNoLossWhenOnlyItsObjectsAreWanted) {
  const BatchResult result = Empty({.only_spinnaker_managed = true});
  EXPECT_EQ(result.ended.at(0).deleted, 15U);
  EXPECT_EQ(result.ended.at(0).held, 19U) << "with four that cannot be read as objects";
}

INSTANTIATE_STORE_SUITE(ScopeTest);
INSTANTIATE_STORE_SUITE(ScopeFilterTest);

}  // namespace
}  // namespace fairlead::endpoint::store
