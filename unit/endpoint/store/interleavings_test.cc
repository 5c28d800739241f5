// Orders in which what agents and endpoints do can meet in the store, each by its name
// (unit/model searches all of them, on small tables of its own).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/sql/connection.h"
#include "unit/endpoint/store/store_scene.h"

namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

class Interleavings : public StoreScene {
 protected:
  SnapshotItem WithBody(const std::string& name, const std::string& version,
                        const std::string& body) {
    SnapshotItem item = Item(name, version, body);
    item.has_body = true;
    item.body = body;
    return item;
  }
  // The database is as if batches after `seq` had never been.
  void LoseCommitsAfter(uint64_t seq) {
    EXPECT_TRUE(sql::Run(store_->connection(), "DELETE FROM objects WHERE seq > ?", seq).ok());
    EXPECT_TRUE(sql::Run(store_->connection(), "UPDATE shards SET last_seq = ?", seq).ok());
  }
};

TEST_P(Interleavings, AnOldBatchAfterANewerSnapshotChangesNothing) {
  Write(Make(a_, 1, {Upsert("changed", "5", "{}"), Upsert("gone", "6", "{}")}));
  Write(Make(a_, 2, {Begin()}));
  const SnapshotEnd end{.snapshot_id = kSnapshot, .resource_version = "20"};
  EXPECT_EQ(
      Write(Make(a_, 3, {SnapshotPage{kSnapshot, {WithBody("changed", "15", "{\"n\":1}")}}, end}))
          .ended.at(0)
          .deleted,
      1U);
  const BatchResult old =
      Write(Make(a_, 4, {Upsert("changed", "10", "{\"n\":0}"), Upsert("gone", "12", "{\"n\":0}")}));
  EXPECT_EQ(old.outdated, 2U);
  EXPECT_THAT(Rows(a_), ElementsAre("changed={\"n\":1}"));
}

TEST_P(Interleavings, APageEntryAfterALiveDeleteDoesNotBringTheObjectBack) {
  Write(Make(a_, 1, {Begin()}));
  Write(Make(a_, 2, {Delete("p", "12")}));
  const BatchResult page = Write(
      Make(a_, 3, {SnapshotPage{kSnapshot, {Item("p", "10", "{}"), WithBody("q", "11", "{}")}}}));
  EXPECT_THAT(page.wants.at(0).names, IsEmpty()) << "nobody is asked for what is gone";
  EXPECT_EQ(Write(Make(a_, 4, {SnapshotPage{kSnapshot, {WithBody("p", "10", "{}")}}})).outdated,
            1U);
  EXPECT_THAT(Rows(a_), ElementsAre("q={}"));
}

TEST_P(Interleavings, ATermReadBeforeItChangesLandsNothing) {
  const Term read = *store_->NewTerm(a_, "one", {});
  const Term next = *store_->NewTerm(a_, "two", {});
  Batch late = Make(a_, 1, {Upsert("p", "10", "{}")});
  late.term = read.state.term;
  EXPECT_EQ(Write(late).status.code(), absl::StatusCode::kAborted);
  late.term = next.state.term;
  EXPECT_TRUE(Write(late).status.ok());
}

TEST_P(Interleavings, AfterALostCommitTheNextBatchLandsNothingAndTheEpochChanges) {
  Write(Make(a_, 1, {Upsert("p", "10", "{}")}));
  Write(Make(a_, 2, {Upsert("q", "11", "{}")}));
  LoseCommitsAfter(1);
  EXPECT_EQ(Write(Make(a_, 3, {Upsert("r", "12", "{}")})).status.code(),
            absl::StatusCode::kAborted);
  const Term term = *store_->NewTerm(a_, "agent", {{.epoch = 1, .term = 1, .seq = 2}});
  EXPECT_TRUE(term.lost_commits);
  EXPECT_EQ(term.state.epoch, 2U);
  EXPECT_EQ(term.state.last_seq, 1U);
  // The batch that is lost, once more under the old grant, would be the next by its number.
  EXPECT_EQ(Write(Make(a_, 2, {Upsert("q", "11", "{}")})).status.code(),
            absl::StatusCode::kAborted);
  Batch again = Make(a_, 2, {Upsert("q", "11", "{}"), Upsert("r", "12", "{}")});
  again.epoch = term.state.epoch;
  again.term = term.state.term;
  EXPECT_TRUE(Write(again).status.ok());
  EXPECT_THAT(Rows(a_), ElementsAre("p={}", "q={}", "r={}"));
}

TEST_P(Interleavings, AHeldDeleteIsForgottenWhenTheObjectIsCreatedAgainLive) {
  std::vector<Entry> all;
  for (int i = 0; i < 12; ++i) all.emplace_back(Upsert("p" + std::to_string(i), "5", "{}"));
  Write(Make(a_, 1, all));
  Write(Make(a_, 2, {Begin()}));
  const SnapshotEnd end{.snapshot_id = kSnapshot, .resource_version = "10"};
  ASSERT_EQ(Write(Make(a_, 3, {SnapshotPage{kSnapshot, {}}, end})).ended.at(0).held, 12U);
  Change again = Upsert("p3", "11", "{}");  // of the same content
  again.uid = "another";
  Write(Make(a_, 4, {again}));
  Write(Make(a_, 5, {Delete("p4", "12")}));
  Write(Make(a_, 6, {Upsert("p4", "13", "{}")}));
  EXPECT_EQ(reader_->Positions(a_, false)->front().held, 10U);
  EXPECT_THAT(Rows(a_), IsSupersetOf({"p3={}", "p4={}", "p5={} held"}));
  ExpectSumsTrue(a_);
}

INSTANTIATE_STORE_SUITE(Interleavings);

}  // namespace
}  // namespace fairlead::endpoint::store
