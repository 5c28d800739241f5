#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "endpoint/store/replica_rows.h"
#include "endpoint/store/store.h"
#include "lib/base/clock.h"
#include "lib/sql/connection.h"
#include "unit/database/server.h"

namespace fairlead::endpoint {

using Engine = sql::Dialect::Engine;

// Two replicas of the endpoint on one database of a server, and an account's shard.
class ReplicasScene : public ::testing::TestWithParam<Engine> {
 protected:
  struct Replica {
    std::unique_ptr<store::Store> store;
    std::unique_ptr<store::ReplicaRows> rows;
    uint64_t beats = 0;
    void Beat() { EXPECT_TRUE(rows->Beat(++beats).ok()); }
  };
  ReplicasScene() : database_(test::NewDatabase(GetParam(), "")) {
    Start(&one_);
    Start(&two_);
    EXPECT_TRUE(one_.store->CreateShard(shard_).ok());
  }
  std::unique_ptr<store::ReplicaRows> Rows(const Replica& of) {
    auto connection = of.store->Connect();
    EXPECT_TRUE(connection.ok()) << connection.status();
    return std::make_unique<store::ReplicaRows>(*std::move(connection), of.store->replica());
  }
  void Start(Replica* replica) {
    auto opened = store::Store::Open(database_, &clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    replica->store = *std::move(opened);
    replica->rows = Rows(*replica);
  }
  static uint64_t TermOf(const absl::StatusOr<store::Term>& term) {
    EXPECT_TRUE(term.ok()) << term.status();
    return term.ok() && !term->elsewhere ? term->state.term : 0;
  }

  const store::ShardKey shard_{{1, 1}, 0};
  base::ManualClock clock_;
  sql::DatabaseOptions database_;
  Replica one_, two_;
};

// NOLINTNEXTLINE(cert-err58-cpp): gtest's own
#define INSTANTIATE_SERVER_SUITE(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(Databases, suite, ::testing::Values(Engine::kPostgres, Engine::kMysql), \
                           [](const auto& info) { return test::NameOf(info.param); })

}  // namespace fairlead::endpoint
