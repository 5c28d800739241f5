#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "endpoint/store/scrub.h"
#include "lib/sql/connection.h"
#include "unit/endpoint/store/store_scene.h"

// Snapshots as audits: what a list proves of the rows, and what somebody changed by hand.
namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Body(const std::string& name, const std::string& more = "") {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"ns"})" + more + "}";
}

class AuditTest : public StoreScene {
 protected:
  AuditTest() {
    // A first snapshot of two rows.
    Write(Make(a_, 1, {Begin()}));
    Write(Make(a_, 2, {Upsert("a", "5", Body("a")), Upsert("b", "6", Body("b"))}));
    next_ = 3;
    EXPECT_TRUE(Audit("7", {Item("a", "5", Body("a")), Item("b", "6", Body("b"))}).verified);
  }
  uint64_t Next() { return next_++; }
  // Of exactly these items, with what was wanted sent before the end.
  SnapshotOutcome Audit(const std::string& version, const std::vector<SnapshotItem>& items,
                        const std::vector<Entry>& meanwhile = {}) {
    Write(Make(a_, Next(), {Begin()}));
    const BatchResult page = Write(Make(a_, Next(), {SnapshotPage{kSnapshot, items}}));
    wanted_.clear();
    for (const Want& want : page.wants) {
      for (const ObjectName& name : want.names) wanted_.push_back(name.name);
    }
    std::vector<Entry> bodies = meanwhile;
    for (const std::string& name : wanted_) {
      for (const SnapshotItem& item : items) {
        if (item.name == name) bodies.emplace_back(Upsert(name, item.resource_version, Body(name)));
      }
    }
    if (!bodies.empty()) Write(Make(a_, Next(), bodies));
    const BatchResult end = Write(Make(a_, Next(), {EndOf(version, items)}));
    EXPECT_THAT(end.ended, SizeIs(1)) << end.status;
    return end.ended.empty() ? SnapshotOutcome() : end.ended[0];
  }
  static SnapshotEnd EndOf(const std::string& version, const std::vector<SnapshotItem>& items) {
    SnapshotEnd end{kSnapshot, version, items.size(), {}};
    for (const SnapshotItem& item : items) {
      end.sum += base::SumTerm(base::ObjectKey("", "pods", "ns", item.name), item.content_hash);
    }
    return end;
  }
  std::vector<SnapshotItem> Both() {
    return {Item("a", "5", Body("a")), Item("b", "6", Body("b"))};
  }
  int64_t VerifiedMs() { return reader_->Positions(a_, false)->front().verified_ms; }
  // As a person with a client of the database would.
  void ByHand(const std::string& sql) { ASSERT_TRUE(store_->connection().Execute(sql).ok()); }
  // What the endpoint does before it lets an audit begin; how many rows it found.
  size_t Scrub() {
    ScrubRequest request{a_, "", "pods", "", {}};
    const auto page = ScrubRows(store_->connection(), request);
    EXPECT_TRUE(page.ok()) << page.status();
    EXPECT_FALSE(page->more);
    EXPECT_TRUE(MarkDamaged(store_->connection(), page->damaged).ok());
    return page->damaged.size();
  }
  // Repaired by the audit, which says that something was wrong, and proven by the one after it.
  void ExpectFoundAndRepaired() {
    const SnapshotOutcome first = Audit("8", Both());
    EXPECT_FALSE(first.verified);
    EXPECT_NE(first.doubt, "");
    EXPECT_EQ(VerifiedMs(), 0) << "what was proven before is in doubt";
    EXPECT_THAT(Rows(a_), ElementsAre("a=" + Body("a"), "b=" + Body("b")));
    EXPECT_TRUE(Audit("9", Both()).verified);
    EXPECT_THAT(wanted_, IsEmpty());
    EXPECT_GT(VerifiedMs(), 0);
    ExpectSumsTrue(a_);
  }

  uint64_t next_ = 1;
  std::vector<std::string> wanted_;
};

TEST_P(AuditTest, ARowDeletedByHandIsFoundAndRepaired) {
  ByHand("DELETE FROM objects WHERE name = 'b'");
  ExpectFoundAndRepaired();
}

TEST_P(AuditTest, ARowMadeByHandIsFoundAndRemoved) {
  ByHand(
      "INSERT INTO objects (kind, namespace, name, object_key, uid, history, resource_version, "
      "content_hash, application, seq, held, changed_ms, body) SELECT kind, namespace, 'c', "
      "object_key, uid, history, resource_version, content_hash, application, seq, held, "
      "changed_ms, body FROM objects WHERE name = 'a'");
  ExpectFoundAndRepaired();
}

TEST_P(AuditTest, AnotherHashIsFoundAndRepaired) {
  ByHand("UPDATE objects SET content_hash = object_key WHERE name = 'b'");
  ExpectFoundAndRepaired();
}

TEST_P(AuditTest, AnotherUidIsFoundAndRepaired) {
  ByHand("UPDATE objects SET uid = 'another' WHERE name = 'b'");
  Audit("8", Both());
  EXPECT_THAT(wanted_, ElementsAre("b"));
  EXPECT_TRUE(Audit("9", Both()).verified);
  EXPECT_THAT(wanted_, IsEmpty());
}

// Else every later change of the object would count as older than the row.
TEST_P(AuditTest, ALaterVersionWrittenByHandIsTakenBack) {
  ByHand("UPDATE objects SET resource_version = '900000' WHERE name = 'b'");
  EXPECT_TRUE(Audit("8", Both()).verified);
  EXPECT_EQ(Write(Make(a_, Next(), {Upsert("b", "10", Body("b", R"(,"n":1)"))})).written, 1U);
}

// The list was asked for before the change, and its first item came after it.
TEST_P(AuditTest, AVersionThatTheWatchBroughtBeforeTheListsFirstItemStays) {
  Write(Make(a_, Next(), {Upsert("b", "9", Body("b", R"(,"n":1)"))}));
  Write(Make(a_, Next(), {Begin()}));
  const BatchResult page = Write(Make(a_, Next(), {SnapshotPage{kSnapshot, Both()}}));
  ASSERT_THAT(page.wants, SizeIs(1));
  EXPECT_THAT(page.wants[0].names, SizeIs(1)) << "to be sure";
  const auto version = [this] {
    ObjectPageRequest all;
    all.filter.name = "b";
    return reader_->Objects(all)->objects.at(0).resource_version;
  };
  EXPECT_EQ(version(), "9");
  EXPECT_EQ(Write(Make(a_, Next(), {Upsert("b", "9", Body("b", R"(,"n":1)"))})).unchanged, 1U);
  EXPECT_EQ(version(), "9");
}

TEST_P(AuditTest, ALaterHistoryWrittenByHandIsTakenBackAndTheBodyReadAgain) {
  ByHand("UPDATE objects SET history = 9, content_hash = object_key WHERE name = 'b'");
  ExpectFoundAndRepaired();
}

// Lists are compared with the hash column: only hashing the bodies finds this.
TEST_P(AuditTest, ABodyChangedByHandIsFoundByItsHashAndRepaired) {
  ByHand(
      "UPDATE objects SET body = (SELECT body FROM (SELECT body FROM objects WHERE name = 'a') "
      "other) WHERE name = 'b'");
  EXPECT_TRUE(Audit("7", Both()).verified) << "the hash alone does not tell";
  EXPECT_EQ(Scrub(), 1U);
  ExpectFoundAndRepaired();
  EXPECT_EQ(Scrub(), 0U);
}

TEST_P(AuditTest, AnApplicationOrAKeyChangedByHandIsFoundAndRepaired) {
  ByHand("UPDATE objects SET application = 'stolen' WHERE name = 'a'");
  ByHand("UPDATE objects SET object_key = content_hash WHERE name = 'b'");
  EXPECT_EQ(Scrub(), 2U);
  ExpectFoundAndRepaired();
  EXPECT_EQ(Scrub(), 0U);
}

TEST_P(AuditTest, ARowWrittenAgainSinceItWasScrubbedIsLeftAlone) {
  ByHand("UPDATE objects SET application = 'stolen' WHERE name = 'a'");
  const auto page = ScrubRows(store_->connection(), {a_, "", "pods", "", {}});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_THAT(page->damaged, SizeIs(1));
  Write(Make(a_, Next(), {Upsert("a", "8", Body("a", R"(,"n":1)"))}));
  EXPECT_EQ(*MarkDamaged(store_->connection(), page->damaged), 0);
}

TEST_P(AuditTest, ScrubbingGoesByPagesAndByWatch) {
  ScrubRequest request{a_, "", "pods", "", {}, /*most_bytes=*/1};
  std::vector<std::string> names;
  for (;;) {
    const auto page = ScrubRows(store_->connection(), request);
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->rows > 0) names.push_back(page->last.name);
    if (!page->more) break;
    request.after = page->last;
  }
  EXPECT_THAT(names, ElementsAre("a", "b"));
  EXPECT_EQ(ScrubRows(store_->connection(), {a_, "", "pods", "other", {}})->rows, 0U);
  EXPECT_EQ(ScrubRows(store_->connection(), {b_, "", "pods", "", {}})->rows, 0U);
}

TEST_P(AuditTest, ASumOrACountChangedByHandIsFoundAndRepaired) {
  ByHand("UPDATE positions SET row_count = 7");
  ExpectFoundAndRepaired();
  ByHand("UPDATE positions SET row_sum = rules_hash");
  ExpectFoundAndRepaired();
}

// Otherwise a busy kind would never be proven.
TEST_P(AuditTest, WhatChangesWhileTheListIsReadIsNewerThanItAndDisprovesNothing) {
  EXPECT_TRUE(Audit("8", Both(),
                    {Upsert("a", "9", Body("a", R"(,"n":1)")), Delete("b", "10"),
                     Upsert("c", "11", Body("c"))})
                  .verified);
  EXPECT_THAT(Rows(a_), SizeIs(2));
  ExpectSumsTrue(a_);
}

// The watch is open while the list is on its way: what it brings is newer, and may come first.
TEST_P(AuditTest, WhatWasWrittenBetweenTheListsStartAndItsFirstItemIsNotDeleted) {
  Write(Make(a_, Next(), {Upsert("early", "9", Body("early")), Delete("b", "10")}));
  const SnapshotOutcome outcome = Audit("8", Both());
  EXPECT_EQ(outcome.deleted, 0U);
  EXPECT_FALSE(outcome.verified) << "nothing compares a row that is newer than the list";
  EXPECT_THAT(Rows(a_), ElementsAre("a=" + Body("a"), "early=" + Body("early")));
  EXPECT_TRUE(Audit("11", {Item("a", "5", Body("a")), Item("early", "9", Body("early"))}).verified);
}

TEST_P(AuditTest, AListOfWhichNotEverythingArrivedProvesNothing) {
  Write(Make(a_, Next(), {Begin()}));
  Write(Make(a_, Next(), {SnapshotPage{kSnapshot, Both()}}));
  SnapshotEnd end = EndOf("8", Both());
  ++end.count;
  const BatchResult result = Write(Make(a_, Next(), {end}));
  EXPECT_FALSE(result.ended.at(0).verified);
  EXPECT_EQ(VerifiedMs(), 0);
}

TEST_P(AuditTest, AListThatIsNotOneWholeListTakesNoProofAway) {
  const int64_t before = VerifiedMs();
  Write(Make(a_, Next(), {Begin()}));
  SnapshotEnd end = EndOf("8", {});
  end.incomplete = true;
  const BatchResult result = Write(Make(a_, Next(), {end}));
  EXPECT_FALSE(result.ended.at(0).verified);
  EXPECT_EQ(VerifiedMs(), before);
}

// The sums of the rows are right, and still they are not the list's.
TEST_P(AuditTest, WhatWasWantedAndNeverCameIsNotProven) {
  const std::vector<SnapshotItem> other = {Item("a", "5", Body("a")),
                                           Item("b", "7", Body("other"))};
  std::vector<SnapshotItem> more = Both();
  more.push_back(Item("c", "7", Body("c")));
  for (const auto& [items, doubt] :
       {std::pair(other, "1 rows differ"), std::pair(more, "1 are missing")}) {
    Write(Make(a_, Next(), {Begin()}));
    Write(Make(a_, Next(), {SnapshotPage{kSnapshot, items}}));
    const BatchResult end = Write(Make(a_, Next(), {EndOf("8", items)}));
    EXPECT_FALSE(end.ended.at(0).verified);
    EXPECT_THAT(end.ended.at(0).doubt, HasSubstr(doubt));
  }
}

TEST_P(AuditTest, APageThatComesTwiceCountsOnce) {
  Write(Make(a_, Next(), {Begin()}));
  Write(Make(a_, Next(), {SnapshotPage{kSnapshot, Both()}}));
  Write(Make(a_, Next(), {SnapshotPage{kSnapshot, Both()}}));
  EXPECT_TRUE(Write(Make(a_, Next(), {EndOf("8", Both())})).ended.at(0).verified);
}

TEST_P(AuditTest, ARefusedItemIsNotProven) {
  std::vector<SnapshotItem> items = Both();
  items[1].refused = true;
  EXPECT_FALSE(Audit("8", items).verified);
}

class ConfirmTest : public AuditTest {
 protected:
  // 20 more rows, of which all are held by a list that has none of them.
  ConfirmTest() {
    std::vector<Entry> many;
    for (int i = 0; i < 20; ++i) {
      const std::string name = "p" + std::to_string(i);
      many.emplace_back(Upsert(name, "5", Body(name)));
    }
    Write(Make(a_, Next(), many));
    EXPECT_EQ(Audit("10", Both()).held, 20U);
  }
  uint64_t Held() { return reader_->Positions(a_, false)->front().held; }
};

TEST_P(ConfirmTest, HeldRowsAreLeftOutOfTheProof) { EXPECT_GT(VerifiedMs(), 0); }

TEST_P(ConfirmTest, DeletesWhatIsStillHeldAndOnlyThat) {
  Write(Make(a_, Next(), {Upsert("p3", "11", Body("p3"))}));
  const BatchResult confirmed = Write(Make(a_, Next(), {ConfirmHeld{0}}));
  EXPECT_EQ(confirmed.deleted, 19U);
  EXPECT_EQ(Held(), 0U);
  EXPECT_THAT(Rows(a_), SizeIs(3));
  ExpectSumsTrue(a_);
}

// What the page that was on its way says of them is older than the position.
TEST_P(ConfirmTest, WhatIsOlderThanThePositionDoesNotBringThemBack) {
  Write(Make(a_, Next(), {ConfirmHeld{0}}));
  EXPECT_EQ(Write(Make(a_, Next(), {Upsert("p3", "9", Body("p3"))})).outdated, 1U);
  EXPECT_EQ(Write(Make(a_, Next(), {Upsert("p3", "11", Body("p3"))})).written, 1U);
}

TEST_P(ConfirmTest, IsFencedAsEveryWrite) {
  Batch late = Make(a_, Next(), {ConfirmHeld{0}});
  late.term = 9;
  EXPECT_FALSE(Write(late).status.ok());
  EXPECT_EQ(Held(), 20U);
}

INSTANTIATE_STORE_SUITE(AuditTest);
INSTANTIATE_STORE_SUITE(ConfirmTest);

}  // namespace
}  // namespace fairlead::endpoint::store
