#include <gmock/gmock.h>

#include "unit/endpoint/store/store_scene.h"

// What one agent can make of the database.
namespace fairlead::endpoint::store {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class LimitsTest : public StoreScene {
 protected:
  LimitsTest() {
    writer_ =
        std::make_unique<Writer>(&store_->connection(), &clock_,
                                 WriterOptions{.replica = store_->replica(), .max_objects = 5});
    Write(Make(a_, 1, {Checkpoint{0, "", 1, "1", "r", 0, {}}}));
    Write(Make(b_, 1, {Checkpoint{0, "", 1, "1", "r", 0, {}}}));
  }
  BatchResult Add(int first, int count) {
    std::vector<Entry> entries;
    for (int i = 0; i < count; ++i) {
      entries.emplace_back(Upsert("p" + std::to_string(first + i), "5", "{}"));
    }
    return Write(Make(a_, LastSeq(a_) + 1, entries));
  }
};

TEST_P(LimitsTest, ObjectsBeyondTheLimitAreRefusedAloneAndWithTheReason) {
  const BatchResult result = Add(0, 7);
  EXPECT_EQ(result.written, 5U);
  ASSERT_THAT(result.refused, SizeIs(2));
  EXPECT_THAT(result.refused[0].reason, HasSubstr("limits.objectsPerAccount"));
  EXPECT_THAT(Rows(a_), SizeIs(5));
  // Those that are there change as ever, and nobody else is concerned.
  EXPECT_EQ(Write(Make(a_, LastSeq(a_) + 1, {Upsert("p1", "6", "{1}")})).written, 1U);
  EXPECT_EQ(Write(Make(b_, LastSeq(b_) + 1, {Upsert("x", "6", "{}")})).written, 1U);
  ExpectSumsTrue(a_);
}

TEST_P(LimitsTest, RowsThatWentMakeRoom) {
  Add(0, 5);
  EXPECT_THAT(Add(5, 1).refused, SizeIs(1));
  Write(Make(a_, LastSeq(a_) + 1, {Delete("p0", "9"), Delete("p1", "9")}));
  // It is looked again after a thousand refusals.
  for (int i = 0; i < 11; ++i) Add(5, 100);
  EXPECT_THAT(Rows(a_), SizeIs(5));
}

// Another replica may have written meanwhile.
TEST_P(LimitsTest, RowsAreCountedAgainWithANewTerm) {
  Add(0, 5);
  EXPECT_THAT(Add(5, 1).refused, SizeIs(1));
  Write(Make(a_, LastSeq(a_) + 1, {Delete("p0", "9")}));
  writer_->ForgetShard(a_);
  EXPECT_EQ(Add(5, 1).written, 1U);
}

TEST_P(LimitsTest, AListBeyondTheLimitEndsTheGrant) {
  Write(Make(a_, LastSeq(a_) + 1, {Begin()}));
  std::vector<SnapshotItem> items;
  for (int i = 0; i < 6; ++i) items.push_back(Item("p" + std::to_string(i), "5", "{}"));
  EXPECT_TRUE(Write(Make(a_, LastSeq(a_) + 1, {SnapshotPage{kSnapshot, items}})).status.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      Write(Make(a_, LastSeq(a_) + 1, {SnapshotPage{kSnapshot, items}})).status));
}

TEST_P(LimitsTest, ABatchOfMoreKindsThanAClusterHasIsRefused) {
  Batch batch = Make(a_, LastSeq(a_) + 1, {});
  for (int i = 0; i < 6000; ++i) {
    batch.kinds.push_back({"g", "r" + std::to_string(i), "K", "v1", true});
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Write(batch).status));
}

INSTANTIATE_STORE_SUITE(LimitsTest);

}  // namespace
}  // namespace fairlead::endpoint::store
