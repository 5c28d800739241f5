#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/endpoint/store/store_scene.h"

namespace fairlead::endpoint::store {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ShardsTest : public StoreScene {};

TEST_P(ShardsTest, AnAgentThatSawALaterTermSaysThatTheDatabaseLostCommits) {
  const auto term = store_->NewTerm(a_, "agent", {{.epoch = 1, .term = 7, .seq = 0}});
  ASSERT_TRUE(term.ok()) << term.status();
  EXPECT_TRUE(term->lost_commits);
  EXPECT_EQ(term->state.epoch, 2U);
  EXPECT_EQ(term->state.term, 8U) << "no term is used twice";
}

TEST_P(ShardsTest, AnAgentThatSawALaterEpochIsAheadOfTheDatabase) {
  const auto term = store_->NewTerm(a_, "agent", {{.epoch = 4, .term = 2, .seq = 9}});
  EXPECT_TRUE(term->lost_commits);
  EXPECT_EQ(term->state.epoch, 5U);
}

TEST_P(ShardsTest, NobodyIsBelievedWhoSawMoreThanCanBe) {
  const auto term = store_->NewTerm(
      a_, "agent", {{.epoch = UINT64_MAX, .term = 1, .seq = 1}, {1, UINT64_MAX, 0}});
  EXPECT_FALSE(term->lost_commits);
  EXPECT_EQ(term->state.epoch, 1U);
  EXPECT_EQ(term->state.term, 2U);
}

TEST_P(ShardsTest, WhatAnAgentSawOfAnEarlierEpochOrTermIsNoNews) {
  EXPECT_TRUE(store_->NewTerm(a_, "agent", {{.epoch = 1, .term = 7, .seq = 0}})->lost_commits);
  EXPECT_FALSE(store_->NewTerm(a_, "agent", {{.epoch = 1, .term = 9, .seq = 99}})->lost_commits);
}

TEST_P(ShardsTest, AGrantIsLostWhenTheTermOrAcknowledgedCommitsAre) {
  ASSERT_TRUE(Write(Make(a_, 1, {Upsert("p", "5", "{}")})).status.ok());
  const Held held{a_, 1, 1, 1};
  EXPECT_THAT(*store_->Lost({held, {b_, 1, 1, 0}}), IsEmpty());
  EXPECT_THAT(*store_->Lost({{a_, 1, 1, 2}}), SizeIs(1)) << "a commit is not there any more";
  EXPECT_THAT(*store_->Lost({{a_, 2, 1, 1}}), SizeIs(1)) << "another epoch";
  ASSERT_TRUE(store_->connection().Execute("UPDATE shards SET replica = 'x'").ok());
  EXPECT_THAT(*store_->Lost({held}), SizeIs(1)) << "the same term made again by another replica";
  store_->NewTerm(a_, "other", {}).IgnoreError();
  EXPECT_THAT(*store_->Lost({held}), SizeIs(1)) << "another term";
  EXPECT_THAT(*store_->Lost({{{{9, 9}, 0}, 1, 1, 0}}), SizeIs(1)) << "no such shard";
}

// A restore undid the term, and another replica made it once more.
TEST_P(ShardsTest, ATermThatAnotherReplicaMadeAgainIsNotOurs) {
  ASSERT_TRUE(store_->connection().Execute("UPDATE shards SET replica = 'x'").ok());
  EXPECT_EQ(Write(Make(a_, 1, {Upsert("p", "5", "{}")})).status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Rows(a_), IsEmpty());
}

INSTANTIATE_STORE_SUITE(ShardsTest);

class SqliteTest : public StoreScene {};

TEST_P(SqliteTest, OneProcessUsesAFile) {
  const auto second = Store::Open(database_, &clock_);
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(base::View(second.status().message())),
              HasSubstr("another endpoint uses it"));
  EXPECT_FALSE(store_->shared());
}

INSTANTIATE_TEST_SUITE_P(Databases, SqliteTest, ::testing::Values(Engine::kSqlite), EngineName);

}  // namespace
}  // namespace fairlead::endpoint::store
