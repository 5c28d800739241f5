#include "endpoint/store/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "endpoint/registry/registry.h"
#include "lib/base/backoff.h"
#include "unit/endpoint/store/store_scene.h"

namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WriterTest : public StoreScene {};
class FullDiskTest : public StoreScene {};  // of SQLite: a server's disk is not ours

TEST_P(WriterTest, RowsPositionAndSequenceLandTogether) {
  Checkpoint at{.kind = 0, .watch = "", .history = 1, .resource_version = "10", .rules_hash = "r"};
  EXPECT_EQ(Write(Make(a_, 1, {Upsert("p", "10", "{\"x\":1}"), at})).written, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("p={\"x\":1}"));
  EXPECT_EQ(LastSeq(a_), 1U);
  const auto positions = reader_->Positions(a_, true);
  ASSERT_THAT(*positions, SizeIs(1));
  EXPECT_EQ(positions->front().resource_version, "10");
  ASSERT_THAT(positions->front().anchors, SizeIs(1));
  EXPECT_EQ(positions->front().anchors[0].resource_version, "10");
}

TEST_P(WriterTest, AFormerWriterLandsNothing) {
  EXPECT_EQ(store_->NewTerm(a_, "other", {})->state.term, 2U);
  EXPECT_EQ(Write(Make(a_, 1, {Upsert("p", "10", "{}")})).status.code(),
            absl::StatusCode::kAborted);
  EXPECT_THAT(Rows(a_), IsEmpty());
  EXPECT_EQ(LastSeq(a_), 0U);
}

TEST_P(WriterTest, AnotherEpochOrAGapOrARepeatLandsNothing) {
  Batch batch = Make(a_, 1, {Upsert("p", "10", "{}")});
  batch.epoch = 2;
  EXPECT_FALSE(Write(batch).status.ok());
  EXPECT_FALSE(Write(Make(a_, 2, {Upsert("p", "10", "{}")})).status.ok());
  EXPECT_TRUE(Write(Make(a_, 1, {Upsert("p", "10", "{}")})).status.ok());
  EXPECT_FALSE(Write(Make(a_, 1, {Upsert("q", "11", "{}")})).status.ok());
  EXPECT_THAT(Rows(a_), SizeIs(1));
}

TEST_P(WriterTest, AFencedShardHurtsNoOther) {
  store_->NewTerm(a_, "other", {}).IgnoreError();
  std::vector<BatchResult> results;
  ASSERT_TRUE(
      writer_
          ->Write({Make(a_, 1, {Upsert("p", "1", "{}")}), Make(b_, 1, {Upsert("q", "1", "{}")}),
                   Make(a_, 2, {Upsert("r", "1", "{}")})},
                  &results)
          .ok());
  EXPECT_FALSE(results[0].status.ok());
  EXPECT_TRUE(results[1].status.ok());
  EXPECT_FALSE(results[2].status.ok());
  EXPECT_THAT(Rows(a_), IsEmpty());
  EXPECT_THAT(Rows(b_), SizeIs(1));
}

TEST_P(WriterTest, ABatchThatBreaksTheProtocolHurtsNoOther) {
  Change bad = Upsert("p", "1", "{}");
  bad.kind = 9;
  std::vector<BatchResult> results;
  ASSERT_TRUE(writer_
                  ->Write({Make(a_, 1, {Upsert("first", "1", "{}"), bad}),
                           Make(b_, 1, {Upsert("q", "1", "{}")})},
                          &results)
                  .ok());
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(results[1].status.ok());
  EXPECT_THAT(Rows(a_), IsEmpty());
}

TEST_P(WriterTest, AnUnchangedHashIsNotWritten) {
  Write(Make(a_, 1, {Upsert("p", "10", "{}")}));
  const BatchResult again = Write(Make(a_, 2, {Upsert("p", "11", "{}")}));
  EXPECT_EQ(again.written, 0U);
  EXPECT_EQ(again.unchanged, 1U);
}

TEST_P(WriterTest, AnOlderVersionNeverOverwritesNorComesBackAfterADelete) {
  Write(Make(a_, 1, {Upsert("p", "10", "{\"new\":1}")}));
  EXPECT_EQ(Write(Make(a_, 2, {Upsert("p", "9", "{\"old\":1}")})).outdated, 1U);
  EXPECT_EQ(Write(Make(a_, 3, {Delete("p", "9")})).outdated, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("p={\"new\":1}"));
  EXPECT_EQ(Write(Make(a_, 4, {Delete("p", "12")})).deleted, 1U);
  EXPECT_EQ(Write(Make(a_, 5, {Upsert("p", "11", "{}")})).outdated, 1U);
  EXPECT_THAT(Rows(a_), IsEmpty());
  EXPECT_EQ(Write(Make(a_, 6, {Upsert("p", "13", "{}")})).written, 1U);
}

TEST_P(WriterTest, AnotherHistoryOutranksAnyVersion) {
  Write(Make(a_, 1, {Upsert("p", "100", "{\"v\":1}")}));
  Change restored = Upsert("p", "50", "{\"v\":2}");
  restored.history = 2;
  EXPECT_EQ(Write(Make(a_, 2, {restored})).written, 1U);
  EXPECT_EQ(Write(Make(a_, 3, {Upsert("p", "200", "{\"v\":3}")})).outdated, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("p={\"v\":2}"));
}

// With the version it had in another history a row would be an anchor that proves nothing: every
// start of an agent would be a full list.
TEST_P(WriterTest, AnEqualRowTakesTheVersionItHasInANewHistory) {
  Write(Make(a_, 1, {Upsert("p", "50", "{}")}));
  SnapshotBegin begin = Begin();
  begin.history = 2;
  const SnapshotPage page{kSnapshot, {Item("p", "7", "{}")}};
  const SnapshotEnd end{.snapshot_id = kSnapshot, .resource_version = "9"};
  EXPECT_EQ(Write(Make(a_, 2, {begin, page, end})).written, 0U);
  const auto positions = reader_->Positions(a_, true);
  ASSERT_THAT(positions->front().anchors, SizeIs(1));
  EXPECT_EQ(positions->front().anchors[0].resource_version, "7");
}

// Else the next grant goes on in the old history, whose changes the rows of the new one outrank:
// they would be ignored for ever.
TEST_P(WriterTest, AHistoryThatBeganIsNotForgottenWhenItsSnapshotHasNoEnd) {
  const Checkpoint at{
      .kind = 0, .watch = "", .history = 1, .resource_version = "50", .rules_hash = "r"};
  Write(Make(a_, 1, {Upsert("p", "50", "{}"), at}));
  SnapshotBegin begin = Begin();
  begin.history = 2;
  Write(Make(a_, 2, {begin}));
  const auto positions = reader_->Positions(a_, true);
  EXPECT_EQ(positions->front().history, 2U);
  EXPECT_EQ(positions->front().resource_version, "") << "the version was of another history";
  Write(Make(a_, 3, {at}));
  EXPECT_EQ(reader_->Positions(a_, true)->front().history, 2U);
}

TEST_P(WriterTest, ABeginInTheSameHistoryKeepsThePosition) {
  const Checkpoint at{
      .kind = 0, .watch = "", .history = 1, .resource_version = "50", .rules_hash = "r"};
  Write(Make(a_, 1, {Upsert("p", "50", "{}"), at}));
  Write(Make(a_, 2, {Begin()}));
  EXPECT_EQ(reader_->Positions(a_, true)->front().resource_version, "50");
}

TEST_P(WriterTest, AnItemThatWasRefusedKeepsItsRow) {
  Write(Make(a_, 1, {Upsert("p", "5", "{}"), Upsert("q", "6", "{}")}));
  SnapshotItem refused = Item("p", "7", "");
  refused.refused = true;
  const SnapshotEnd end{.snapshot_id = kSnapshot, .resource_version = "9"};
  const BatchResult result = Write(Make(a_, 2, {Begin(), SnapshotPage{kSnapshot, {refused}}, end}));
  EXPECT_THAT(Rows(a_), ElementsAre("p={}"));
  EXPECT_THAT(result.wants.at(0).names, IsEmpty());
}

// The end forgets what its snapshot saw only once it is committed.
TEST_P(WriterTest, AnEndThatWasRolledBackEndsTheSameAgain) {
  Write(Make(a_, 1, {Upsert("p", "5", "{}"), Upsert("q", "6", "{}")}));
  Write(Make(a_, 2, {Begin(), SnapshotPage{kSnapshot, {Item("p", "5", "{}")}}}));
  const SnapshotEnd end{.snapshot_id = kSnapshot, .resource_version = "9"};
  std::vector<BatchResult> results;
  // b's fence misses, so that the transaction is rolled back and tried again without it.
  Batch stale = Make(b_, 7, {});
  ASSERT_TRUE(writer_->Write({Make(a_, 3, {end}), stale}, &results).ok());
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.ToString();
  EXPECT_FALSE(results[1].status.ok());
  EXPECT_THAT(Rows(a_), ElementsAre("p={}"));
  EXPECT_EQ(writer_->snapshot_keys(), 0U);
}

TEST_P(WriterTest, AnEndThatWasRolledBackEndsTheSameAgainAlthoughAnotherSnapshotBeganBehindIt) {
  Write(Make(a_, 1, {Upsert("gone", "5", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  SnapshotBegin another = Begin();
  another.snapshot_id = U128{8, 8};
  const std::vector<Batch> ours = {
      Make(a_, 3, {SnapshotPage{kSnapshot, {}}, SnapshotEnd{kSnapshot, "10", 0, {}}}),
      Make(a_, 4, {another})};
  std::vector<Batch> batches = ours;
  Batch fenced = Make(b_, 9, {});  // a gap: its fence is missed, and all is rolled back once
  batches.push_back(fenced);
  std::vector<BatchResult> results;
  ASSERT_TRUE(writer_->Write(batches, &results).ok());
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.ToString();
  EXPECT_TRUE(results[1].status.ok()) << results[1].status.ToString();
  EXPECT_FALSE(results[2].status.ok());
  EXPECT_THAT(Rows(a_), IsEmpty());
}

TEST_P(WriterTest, ASnapshotThatAnotherReplacedTakesNothingMore) {
  Write(Make(a_, 1, {Upsert("p", "5", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  SnapshotBegin another = Begin();
  another.snapshot_id = U128{8, 8};
  std::vector<BatchResult> results;
  ASSERT_TRUE(
      writer_
          ->Write({Make(a_, 3, {another}), Make(a_, 4, {SnapshotEnd{kSnapshot, "10", 0, {}}})},
                  &results)
          .ok());
  EXPECT_EQ(results[1].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Rows(a_), ElementsAre("p={}"));
}

TEST_P(WriterTest, AListThatWasNotCountedOrNotWholeVerifiesNothing) {
  Write(Make(a_, 1, {Begin()}));
  EXPECT_TRUE(Write(Make(a_, 2, {SnapshotEnd{kSnapshot, "8", 0, {}}})).ended.at(0).verified);
  Write(Make(a_, 3, {Begin()}));
  SnapshotEnd end{kSnapshot, "9", 0, {}};
  end.counted = false;
  EXPECT_FALSE(Write(Make(a_, 4, {end})).ended.at(0).verified);
}

TEST_P(WriterTest, ASnapshotWantsWhatDiffersAndDeletesWhatIsAbsent) {
  Write(Make(a_, 1,
             {Upsert("same", "5", "{}"), Upsert("changed", "5", "{}"), Upsert("gone", "5", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  const BatchResult page =
      Write(Make(a_, 3,
                 {SnapshotPage{kSnapshot,
                               {Item("same", "5", "{}"), Item("changed", "8", "{\"n\":1}"),
                                Item("fresh", "9", "{}")}}}));
  ASSERT_THAT(page.wants, SizeIs(1));
  EXPECT_THAT(page.wants[0].names,
              ElementsAre(ObjectName{"ns", "changed"}, ObjectName{"ns", "fresh"}));
  Write(Make(a_, 4, {Upsert("changed", "8", "{\"n\":1}"), Upsert("fresh", "9", "{}")}));
  const BatchResult end = Write(Make(a_, 5, {SnapshotEnd{kSnapshot, "10", 3, {}}}));
  ASSERT_THAT(end.ended, SizeIs(1));
  EXPECT_EQ(end.ended[0].deleted, 1U);
  EXPECT_THAT(Rows(a_), ElementsAre("changed={\"n\":1}", "fresh={}", "same={}"));
  ExpectSumsTrue(a_);
}

TEST_P(WriterTest, ASnapshotDeletesNothingWrittenSinceItBegan) {
  Write(Make(a_, 1, {Begin()}));
  Write(Make(a_, 2, {Upsert("created-meanwhile", "9", "{}")}));
  Write(Make(a_, 3, {SnapshotPage{kSnapshot, {}}, SnapshotEnd{kSnapshot, "8", 0, {}}}));
  EXPECT_THAT(Rows(a_), SizeIs(1));
}

TEST_P(WriterTest, ARowOfTheBeginsOwnBatchCountsAsWrittenAfterIt) {
  Write(Make(a_, 1, {Upsert("before", "5", "{}")}));
  // Of a server whose versions have no order: only the batch tells.
  Write(Make(a_, 2, {Upsert("beside", "opaque", "{}"), Begin()}));
  Write(Make(a_, 3, {SnapshotPage{kSnapshot, {}}, SnapshotEnd{kSnapshot, "8", 0, {}}}));
  EXPECT_THAT(Rows(a_), ElementsAre("beside={}"));
}

TEST_P(WriterTest, ASnapshotDeletesNothingSeenSinceItBeganThoughNothingOfItWasWritten) {
  Write(Make(a_, 1, {Upsert("gone", "5", "{}"), Upsert("same", "5", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  ASSERT_EQ(Write(Make(a_, 3, {Upsert("same", "9", "{}")})).unchanged, 1U);
  Write(Make(a_, 4, {SnapshotPage{kSnapshot, {}}, SnapshotEnd{kSnapshot, "8", 0, {}}}));
  EXPECT_THAT(Rows(a_), ElementsAre("same={}"));
}

TEST_P(WriterTest, AListThatIsNotCompleteDeletesNothing) {
  Write(Make(a_, 1, {Upsert("p", "5", "{}")}));
  Write(Make(a_, 2, {Begin(false)}));
  Write(Make(a_, 3, {SnapshotEnd{kSnapshot, "10", 0, {}}}));
  EXPECT_THAT(Rows(a_), SizeIs(1));
}

TEST_P(WriterTest, AListOfWhichAnItemCouldNotBeReadDeletesNothing) {
  Write(Make(a_, 1, {Upsert("p", "5", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  Write(Make(a_, 3, {SnapshotEnd{kSnapshot, "10", 0, {}, 0, /*incomplete=*/true}}));
  EXPECT_THAT(Rows(a_), SizeIs(1));
  EXPECT_EQ(reader_->Positions(a_, false)->front().resource_version, "10")
      << "it goes on from there";
}

TEST_P(WriterTest, MoreThanTheProtectionAllowsIsHeldUntilALiveWrite) {
  std::vector<Entry> all;
  for (int i = 0; i < 20; ++i) all.emplace_back(Upsert("p" + std::to_string(i), "5", "{}"));
  Write(Make(a_, 1, all));
  Write(Make(a_, 2, {Begin()}));
  const BatchResult end = Write(Make(a_, 3, {SnapshotEnd{kSnapshot, "10", 0, {}}}));
  EXPECT_EQ(end.ended[0].held, 20U);
  EXPECT_EQ(end.ended[0].deleted, 0U);
  EXPECT_EQ(reader_->Positions(a_, false)->front().held, 20U);
  Write(Make(a_, 4, {Upsert("p3", "11", "{}")}));
  EXPECT_EQ(reader_->Positions(a_, false)->front().held, 19U);
  EXPECT_THAT(Rows(a_), SizeIs(20));
}

TEST_P(WriterTest, PartsOfASnapshotThatNeverBeganAreRefused) {
  EXPECT_EQ(Write(Make(a_, 1, {SnapshotPage{kSnapshot, {}}})).status.code(),
            absl::StatusCode::kInvalidArgument);
  Write(Make(a_, 1, {Begin()}));
  writer_->ForgetShard(a_);
  EXPECT_EQ(Write(Make(a_, 2, {SnapshotEnd{kSnapshot, "1", 0, {}}})).status.code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(FullDiskTest, LosesNothingAndRecovers) {
  Write(Make(a_, 1, {Upsert("before", "1", "{}")}));
  Open(60);
  std::vector<Entry> many;
  for (int i = 0; i < 40; ++i) {
    many.emplace_back(Upsert("p" + std::to_string(i), "5", "\"" + base::RandomHex(8000) + "\""));
  }
  std::vector<BatchResult> results;
  const absl::Status full = writer_->Write({Make(a_, 2, many)}, &results);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full.ToString();
  EXPECT_THAT(Rows(a_), ElementsAre("before={}"));
  EXPECT_EQ(LastSeq(a_), 1U);
  Open(0);
  Batch again = Make(a_, 2, many);
  again.term = store_->NewTerm(a_, "agent", {})->state.term;
  EXPECT_EQ(Write(again).written, 40U);
}

TEST_P(WriterTest, WhatWasCommittedIsThereAfterReopening) {
  Write(Make(a_, 1, {Upsert("p", "1", "{}")}));
  Open();
  EXPECT_THAT(Rows(a_), SizeIs(1));
  EXPECT_EQ(LastSeq(a_), 1U);
}

TEST_P(WriterTest, AccountsOfOneNameOfObjectStayApart) {
  Write(Make(a_, 1, {Upsert("p", "1", "{\"a\":1}")}));
  Write(Make(b_, 1, {Upsert("p", "1", "{\"b\":1}")}));
  EXPECT_THAT(Rows(a_), ElementsAre("p={\"a\":1}"));
  ASSERT_TRUE(store_->DropShardRows(a_).ok());
  EXPECT_THAT(Rows(a_), IsEmpty());
  EXPECT_THAT(Rows(b_), SizeIs(1));
  while (*store_->Reap(1)) {
  }
}

// Random changes: rows are the newest of each object, and count and sum always equal the rows'.
TEST_P(WriterTest, SumsAlwaysEqualTheRows) {
  uint64_t random = 3;
  const auto pick = [&](uint64_t n) { return base::NextRandom(&random) % n; };
  Write(Make(a_, 1, {Begin(), SnapshotEnd{kSnapshot, "1", 0, {}}}));
  std::map<std::string, std::string> newest;
  uint64_t seq = 2;
  for (int version = 2; version < 400; ++version, ++seq) {
    const std::string name = "p" + std::to_string(pick(12));
    if (pick(4) == 0) {
      Write(Make(a_, seq, {Delete(name, std::to_string(version))}));
      newest.erase(name);
    } else {
      const std::string body = "{\"v\":" + std::to_string(pick(3)) + "}";
      Write(Make(a_, seq, {Upsert(name, std::to_string(version), body)}));
      newest[name] = body;
    }
    if (version % 40 == 0) ExpectSumsTrue(a_);
  }
  std::vector<std::string> rows;
  for (const auto& [name, body] : newest) rows.push_back(name + "=" + body);
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(Rows(a_).size(), rows.size());
  for (const std::string& row : Rows(a_))
    EXPECT_TRUE(std::count(rows.begin(), rows.end(), row)) << row;
}

TEST_P(WriterTest, ATokenIsSpentOnceByItsIdentityOnly) {
  const auto token = store_->CreateToken("agent-1", base::seconds(60));
  EXPECT_FALSE(store_->SpendToken(token->token, "agent-2").ok());
  EXPECT_FALSE(store_->SpendToken("guess", "agent-1").ok());
  EXPECT_TRUE(store_->SpendToken(token->token, "agent-1").ok());
  EXPECT_EQ(store_->SpendToken(token->token, "agent-1").code(),
            absl::StatusCode::kPermissionDenied);
  const auto late = store_->CreateToken("agent-1", base::seconds(60));
  clock_.Advance(base::seconds(61));
  EXPECT_FALSE(store_->SpendToken(late->token, "agent-1").ok());
}

TEST_P(WriterTest, AnAccountKeepsItsUidAndItsOwner) {
  registry::Registry registry(store_.get(), nullptr);
  registry::PutRequest put{.name = "Prod",
                           .owner = "hub/a/x",
                           .owner_uid = "1",
                           .generation = 2,
                           .spec_json = R"({"identities":["i"],"access":{"level":"Cluster"}})"};
  const auto first = registry.Put(put);
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  registry::PutRequest other = put;
  other.name = "PROD";
  other.owner = "hub/b/y";
  EXPECT_EQ(registry.Put(other).status().code(), absl::StatusCode::kAlreadyExists);
  registry::PutRequest older = put;
  older.generation = 1;
  EXPECT_EQ(registry.Put(older).status().code(), absl::StatusCode::kFailedPrecondition);
  registry::PutRequest rebuilt = put;
  rebuilt.owner_uid = "2";
  rebuilt.generation = 1;
  EXPECT_EQ(registry.Put(rebuilt).status().code(), absl::StatusCode::kFailedPrecondition);
  rebuilt.previous_owner_uid = "1";
  EXPECT_TRUE(registry.Put(rebuilt).ok());
  EXPECT_EQ(registry.Delete("prod", {9, 9}, "hub/a/x").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(registry.Delete("prod", first->uid, "hub/a/x").ok());
  EXPECT_EQ(registry.Get("prod").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(registry.Put(put)->uid, first->uid) << "the uid stays with the name";
}

// PostgreSQL's and MariaDB's transactions take nothing more after such an error.
TEST_P(WriterTest, ARowThatTheDatabaseWillNotTakeIsRefusedAloneAndTheRestLands) {
  if (GetParam() == Engine::kSqlite) return;  // it takes anything
  Change poison = Upsert("poison", "6", "{}");
  poison.uid = "\xff\xfe";
  const Checkpoint at{
      .kind = 0, .watch = "", .history = 1, .resource_version = "8", .rules_hash = "r"};
  std::vector<BatchResult> results;
  ASSERT_TRUE(
      writer_
          ->Write(
              {Make(a_, 1, {Upsert("before", "5", "{}"), poison, Upsert("after", "7", "{}"), at}),
               Make(b_, 1, {Upsert("other", "1", "{}")})},
              &results)
          .ok());
  ASSERT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_EQ(results[0].written, 2U);
  ASSERT_THAT(results[0].refused, SizeIs(1));
  EXPECT_EQ(results[0].refused[0].object.name, "poison");
  EXPECT_THAT(Rows(a_), ElementsAre("after={}", "before={}"));
  EXPECT_THAT(Rows(b_), SizeIs(1));
  EXPECT_EQ(reader_->Positions(a_, false)->front().resource_version, "8");
  EXPECT_EQ(LastSeq(a_), 1U);
}

INSTANTIATE_STORE_SUITE(WriterTest);
INSTANTIATE_TEST_SUITE_P(Databases, FullDiskTest, ::testing::Values(Engine::kSqlite), EngineName);

}  // namespace
}  // namespace fairlead::endpoint::store
