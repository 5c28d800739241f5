// What the entries of one batch do to the same rows, and how many statements it takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "endpoint/store/writer.h"
#include "unit/endpoint/store/recording_connection.h"
#include "unit/endpoint/store/store_scene.h"

namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BatchRowsTest : public StoreScene {
 protected:
  static U128 TermOf(const std::string& name, const std::string& body) {
    return base::SumTerm(base::ObjectKey("", "pods", "ns", name), base::Sha256Trunc128(body));
  }
  // As the writer does it, but counted.
  BatchResult WriteRecorded(const Batch& batch) {
    recording_ = std::make_unique<RecordingConnection>(&store_->connection());
    Writer writer(recording_.get(), &clock_, {.replica = store_->replica()});
    std::vector<BatchResult> results;
    EXPECT_EQ(writer.Write({batch}, &results), absl::OkStatus());
    return results.at(0);
  }

  std::unique_ptr<RecordingConnection> recording_;
};

TEST_P(BatchRowsTest, AChangeSeesThoseBeforeIt) {
  Write(Make(a_, 1, {Begin(), SnapshotEnd{kSnapshot, "1", 0, {}}}));
  const BatchResult result =
      Write(Make(a_, 2,
                 {Upsert("p", "10", "{\"v\":1}"), Upsert("p", "11", "{\"v\":2}"),
                  Upsert("p", "9", "{\"old\":1}"), Upsert("p", "12", "{\"v\":2}")}));
  EXPECT_EQ(result.written, 2U);
  EXPECT_EQ(result.outdated, 1U);
  EXPECT_EQ(result.unchanged, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("p={\"v\":2}"));
  ExpectSumsTrue(a_);
}

TEST_P(BatchRowsTest, DeletesAndCreatesOfOneBatchEndAsTheLastOfThem) {
  Write(Make(a_, 1, {Begin(), SnapshotEnd{kSnapshot, "1", 0, {}}}));
  Write(Make(a_, 2, {Upsert("again", "5", "{\"v\":1}")}));
  Change again = Upsert("again", "7", "{\"v\":2}");
  again.uid = "another";
  const BatchResult result = Write(Make(a_, 3,
                                        {Delete("again", "6"), again, Upsert("gone", "8", "{}"),
                                         Delete("gone", "9"), Upsert("gone", "8", "{}")}));
  EXPECT_EQ(result.written, 2U);
  EXPECT_EQ(result.deleted, 2U);
  EXPECT_EQ(result.outdated, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("again={\"v\":2}"));
  ExpectSumsTrue(a_);
  EXPECT_EQ(Write(Make(a_, 4, {Upsert("gone", "8", "{}")})).outdated, 1U) << "of its tombstone";
  EXPECT_EQ(Write(Make(a_, 5, {Delete("again", "7")})).deleted, 1U);
}

TEST_P(BatchRowsTest, ATombstoneNeverGoesBack) {
  Write(Make(a_, 1, {Delete("p", "12")}));
  EXPECT_EQ(Write(Make(a_, 2, {Delete("p", "9")})).outdated, 1U);
  EXPECT_EQ(Write(Make(a_, 3, {Upsert("p", "11", "{}")})).outdated, 1U);
  EXPECT_THAT(Rows(a_), IsEmpty());
}

TEST_P(BatchRowsTest, APageSeesTheLiveChangesOfItsBatch) {
  Write(Make(a_, 1, {Upsert("changed", "5", "{}"), Upsert("deleted", "6", "{}")}));
  const BatchResult result =
      Write(Make(a_, 2,
                 {Begin(), Upsert("changed", "9", "{\"v\":2}"), Delete("deleted", "10"),
                  SnapshotPage{kSnapshot,
                               {Item("changed", "5", "{}"), Item("deleted", "6", "{}"),
                                Item("fresh", "7", "{}")}},
                  Upsert("fresh", "7", "{}")}));
  ASSERT_THAT(result.wants, SizeIs(1));
  EXPECT_THAT(result.wants[0].names, ElementsAre(ObjectName{"ns", "fresh"}));
  EXPECT_THAT(Rows(a_), ElementsAre("changed={\"v\":2}", "fresh={}"));
}

// The end reads the tables: what came before it must be there, what comes behind must not.
TEST_P(BatchRowsTest, AnEndWithinABatchCountsWhatCameBeforeIt) {
  Write(Make(a_, 1, {Begin(), SnapshotEnd{kSnapshot, "1", 0, {}}}));
  Write(Make(a_, 2, {Upsert("gone", "5", "{}"), Upsert("stays", "6", "{}")}));
  SnapshotEnd end{kSnapshot, "7", 1, TermOf("stays", "{}")};
  const BatchResult result = Write(Make(
      a_, 3,
      {Begin(), SnapshotPage{kSnapshot, {Item("stays", "6", "{}")}}, Upsert("short", "8", "{}"),
       Delete("short", "9"), Delete("gone", "10"), Upsert("new", "11", "{\"v\":1}"), end,
       Upsert("gone", "13", "{\"v\":3}"), Delete("new", "14"), Upsert("short", "8", "{}")}));
  ASSERT_THAT(result.ended, SizeIs(1));
  EXPECT_TRUE(result.ended[0].verified);
  EXPECT_EQ(result.outdated, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("gone={\"v\":3}", "stays={}"));
  ExpectSumsTrue(a_);
}

TEST_P(BatchRowsTest, WhatAnEndSweptAwayCanComeBackInTheSameBatch) {
  Write(Make(a_, 1, {Upsert("p", "5", "{}"), Upsert("q", "6", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  const BatchResult result = Write(Make(a_, 3,
                                        {SnapshotEnd{kSnapshot, "10", 0, {}},
                                         Upsert("p", "9", "{}"), Upsert("q", "11", "{\"v\":2}")}));
  EXPECT_EQ(result.deleted, 2U);
  EXPECT_EQ(result.outdated, 1U) << "p was gone at 10";
  EXPECT_THAT(Rows(a_), ElementsAre("q={\"v\":2}"));
  ExpectSumsTrue(a_);
  EXPECT_EQ(Write(Make(a_, 4, {Upsert("p", "9", "{}")})).outdated, 1U);
}

TEST_P(BatchRowsTest, OneThatIsRefusedAmongMoreOfTheSameRowsIsRefusedAlone) {
  if (GetParam() == Engine::kSqlite) return;  // it takes anything
  Write(Make(a_, 1, {Begin(), SnapshotEnd{kSnapshot, "1", 0, {}}}));
  Write(Make(a_, 2, {Upsert("p", "5", "{}"), Upsert("q", "6", "{}")}));
  Change poison = Upsert("q", "9", "{\"v\":9}");
  poison.uid = "\xff\xfe";
  const BatchResult result =
      Write(Make(a_, 3,
                 {Delete("p", "7"), Upsert("p", "8", "{\"v\":8}"), poison, Delete("p", "10"),
                  Upsert("p", "11", "{\"v\":11}"), Upsert("r", "12", "{}")}));
  ASSERT_EQ(result.status, absl::OkStatus());
  ASSERT_THAT(result.refused, SizeIs(1));
  EXPECT_EQ(result.refused[0].object.name, "q");
  EXPECT_EQ(result.written, 3U);
  EXPECT_EQ(result.deleted, 2U);
  EXPECT_THAT(Rows(a_), ElementsAre("p={\"v\":11}", "q={}", "r={}"));
  ExpectSumsTrue(a_);
}

TEST_P(BatchRowsTest, MoreRowsThanOneGroupHoldsAllLandInGroupsInOrderOfTheirKeys) {
  std::vector<Entry> changes, deletes;
  for (int i = 1202; i >= 0; --i) {
    const std::string number = std::to_string(1000 + i);
    changes.emplace_back(Upsert("p" + number, number, "{\"v\":" + number + "}"));
    deletes.emplace_back(Delete("p" + number, std::to_string(5000 + i)));
  }
  EXPECT_EQ(WriteRecorded(Make(a_, 1, changes)).written, 1203U);
  ASSERT_THAT(recording_->groups, SizeIs(3));
  std::vector<std::string> names;
  for (const auto& group : recording_->groups) {
    EXPECT_LE(group.rows, 500U);
    names.insert(names.end(), group.third.begin(), group.third.end());
  }
  EXPECT_THAT(names, SizeIs(1203));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_LT(recording_->statements, 20U) << "a batch's statements are few, however many its rows";
  EXPECT_THAT(Rows(a_), SizeIs(500)) << "a page";
  EXPECT_EQ(WriteRecorded(Make(a_, 2, changes)).unchanged, 1203U);
  EXPECT_THAT(recording_->groups, IsEmpty());
  EXPECT_EQ(WriteRecorded(Make(a_, 3, deletes)).deleted, 1203U);
  EXPECT_THAT(recording_->groups, SizeIs(6)) << "rows and tombstones";
  EXPECT_THAT(Rows(a_), IsEmpty());
}

TEST_P(BatchRowsTest, APageIsReadInFewStatements) {
  SnapshotPage page{kSnapshot, {}};
  for (int i = 0; i < 600; ++i) page.items.push_back(Item("p" + std::to_string(i), "5", "{}"));
  EXPECT_THAT(WriteRecorded(Make(a_, 1, {Begin(), page})).wants.at(0).names, SizeIs(600));
  EXPECT_LT(recording_->statements, 20U);
}

TEST_P(BatchRowsTest, AGroupEndsWithTheRowThatReachesItsBytes) {
  std::vector<Entry> changes;
  for (int i = 0; i < 9; ++i) {
    std::string body;
    for (int j = 0; j < 10; ++j) body += base::RandomHex(20'000);  // 200 KB once compressed
    changes.emplace_back(Upsert("p" + std::to_string(i), std::to_string(10 + i), body));
  }
  EXPECT_EQ(WriteRecorded(Make(a_, 1, changes)).written, 9U);
  ASSERT_THAT(recording_->groups, SizeIs(2));
  EXPECT_EQ(recording_->groups[0].rows, 6U);
  EXPECT_LT(recording_->groups[0].bytes, size_t{1300} << 10);
  EXPECT_THAT(Rows(a_), SizeIs(9));
}

// Invariant 1 repairs what a failover or a machine's death takes of batches; nothing repairs a
// term.
TEST_P(BatchRowsTest, ABatchWaitsForLessThanATerm) {
  if (GetParam() == Engine::kMysql) return;  // the server's to say
  const auto setting = [&] {
    const auto query = *store_->connection().Prepare(
        GetParam() == Engine::kSqlite ? "PRAGMA synchronous" : "SHOW synchronous_commit");
    EXPECT_TRUE(*query->Step());
    return std::string(query->Text(0));
  };
  Write(Make(a_, 1, {Upsert("p", "5", "{}")}));
  EXPECT_EQ(setting(), GetParam() == Engine::kSqlite ? "1" : "local");
  EXPECT_TRUE(store_->NewTerm(a_, "other", {}).ok());
  EXPECT_EQ(setting(), GetParam() == Engine::kSqlite ? "2" : "on");
}

INSTANTIATE_STORE_SUITE(BatchRowsTest);

}  // namespace
}  // namespace fairlead::endpoint::store
