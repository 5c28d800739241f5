#include "endpoint/store/schema.h"

#include <gtest/gtest.h>

#include "lib/sql/migrator.h"
#include "unit/endpoint/store/store_scene.h"

namespace fairlead::endpoint::store {
namespace {

// A database as the first release left it, with data.
class SchemaTest : public StoreScene {
 protected:
  void MakeFirstSchema() {
    database_ = test::NewDatabase(GetParam(), dir_ / "first");
    const auto db = *sql::Open(database_, sql::Access::kReadWrite);
    ASSERT_EQ(*sql::Migrate(*db, Migrations().first(1), clock_), 1);
    const std::string account = base::ToBytes(a_.account);
    const std::string sum = base::ToBytes(U128{});
    const std::string body = "not looked at";
    const auto run = [&](std::string_view text, const auto&... values) {
      const auto done = sql::Run(*db, text, values...);
      ASSERT_TRUE(done.ok()) << done.status();
    };
    run("INSERT INTO shards (id, account, shard, store, term, holder, last_seq) "
        "VALUES (7, ?, 0, 1, 1, 'agent', 5)",
        sql::Blob{account});
    run("INSERT INTO kinds (id, shard, api_group, resource, kind, version, namespaced) "
        "VALUES (9, 7, '', 'pods', 'Pod', 'v1', 1)");
    run("INSERT INTO positions (kind, watch, history, resource_version, rules_hash, row_count, "
        "row_sum, fresh_ms, verified_ms) VALUES (9, '', 1, '77', ?, 1, ?, 0, 0)",
        sql::Blob{body}, sql::Blob{sum});
    run("INSERT INTO objects (kind, namespace, name, object_key, uid, history, resource_version, "
        "content_hash, application, seq, held, changed_ms, body) "
        "VALUES (9, 'ns', 'p', ?, 'uid-p', 1, '70', ?, '', 5, 0, 0, ?)",
        sql::Blob{sum}, sql::Blob{sum}, sql::Blob{body});
  }
};

TEST_P(SchemaTest, WhatTheFirstReleaseLeftIsThereAndWrittenOn) {
  std::filesystem::create_directories(dir_ / "first");
  MakeFirstSchema();
  Open();
  const auto positions = reader_->Positions(a_, true);
  ASSERT_TRUE(positions.ok()) << positions.status();
  ASSERT_EQ(positions->size(), 1U);
  EXPECT_EQ(positions->front().resource_version, "77");
  EXPECT_FALSE(positions->front().anchors_at_position);
  ASSERT_EQ(positions->front().anchors.size(), 1U);
  EXPECT_EQ(positions->front().anchors[0].resource_version, "70");
  Checkpoint at{.kind = 0, .watch = "", .history = 1, .resource_version = "80", .rules_hash = "r"};
  at.anchors = {{{"ns", "p"}, "uid-p", "79"}};
  Batch next = Make(a_, 6, {at});
  next.term = store_->NewTerm(a_, "agent", {})->state.term;
  ASSERT_TRUE(Write(next).status.ok());
  EXPECT_TRUE(reader_->Positions(a_, true)->front().anchors_at_position);
}

INSTANTIATE_STORE_SUITE(SchemaTest);

}  // namespace
}  // namespace fairlead::endpoint::store
