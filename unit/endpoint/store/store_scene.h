#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "endpoint/store/reader.h"
#include "endpoint/store/store.h"
#include "endpoint/store/writer.h"
#include "lib/base/clock.h"
#include "unit/database/server.h"

namespace fairlead::endpoint::store {

inline const U128 kSnapshot{7, 7};

using Engine = sql::Dialect::Engine;

// A store in a database of its own, of each engine, with two shards, both at term 1, and a writer
// and a reader of it.
class StoreScene : public ::testing::TestWithParam<Engine> {
 protected:
  StoreScene() {
    dir_ = std::filesystem::temp_directory_path() / ("store_scene." + std::to_string(getpid()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    database_ = test::NewDatabase(GetParam(), dir_);
    Open();
    for (const ShardKey& shard : {a_, b_}) {
      EXPECT_TRUE(store_->CreateShard(shard).ok());
      EXPECT_EQ(store_->NewTerm(shard, "agent", {})->state.term, 1U);
    }
  }
  ~StoreScene() override {
    reader_.reset();
    writer_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }
  void Open(int64_t max_pages = 0) {
    reader_.reset();
    writer_.reset();
    store_.reset();
    database_.sqlite_max_pages = max_pages;
    auto store = Store::Open(database_, &clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    writer_ = std::make_unique<Writer>(&store_->connection(), &clock_,
                                       WriterOptions{.replica = store_->replica()});
    reader_ = *store_->OpenReader();
  }
  static Batch Make(const ShardKey& shard, uint64_t seq, std::vector<Entry> entries) {
    Batch batch;
    batch.shard = shard;
    batch.epoch = 1;
    batch.term = 1;
    batch.seq = seq;
    batch.kinds = {{"", "pods", "Pod", "v1", true}};
    batch.entries = std::move(entries);
    return batch;
  }
  static Change Upsert(const std::string& name, const std::string& version,
                       const std::string& body) {
    Change change;
    change.name_space = "ns";
    change.name = name;
    change.uid = "uid-" + name;
    change.resource_version = version;
    change.history = 1;
    change.content_hash = base::Sha256Trunc128(body);
    change.body = body;
    return change;
  }
  static Change Delete(const std::string& name, const std::string& version) {
    Change change = Upsert(name, version, "");
    change.upsert = false;
    return change;
  }
  static SnapshotItem Item(const std::string& name, const std::string& version,
                           const std::string& body) {
    SnapshotItem item{"ns", name, "uid-" + name, version, base::Sha256Trunc128(body)};
    return item;
  }
  static SnapshotBegin Begin(bool complete = true) {
    return {.snapshot_id = kSnapshot,
            .kind = 0,
            .watch = "",
            .history = 1,
            .rules_hash = "r",
            .complete_list = complete};
  }
  BatchResult Write(const Batch& batch) {
    std::vector<BatchResult> results;
    const absl::Status status = writer_->Write({batch}, &results);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return results.at(0);
  }
  std::vector<std::string> Rows(const ShardKey& shard) {
    ObjectPageRequest all;
    all.filter.account = shard.account;
    std::vector<std::string> rows;
    const auto page = reader_->Objects(all);
    EXPECT_TRUE(page.ok()) << page.status().ToString();
    if (!page.ok()) return rows;
    for (const StoredObject& object : page->objects) {
      rows.push_back(object.object.name + "=" + object.body + (object.held ? " held" : ""));
    }
    return rows;
  }
  uint64_t LastSeq(const ShardKey& shard) { return store_->GetShard(shard)->last_seq; }
  // Count and sum of the position equal what the rows give.
  void ExpectSumsTrue(const ShardKey& shard) {
    const auto positions = reader_->Positions(shard, true);
    ASSERT_TRUE(positions.ok());
    for (const Position& one : *positions) {
      const auto sums = reader_->Recompute(shard, one.kind.group, one.kind.resource, one.watch);
      EXPECT_EQ(one.count, sums->count);
      EXPECT_EQ(one.sum, sums->sum);
    }
  }

  const ShardKey a_{{1, 1}, 0};
  const ShardKey b_{{2, 2}, 0};
  base::ManualClock clock_;
  std::filesystem::path dir_;
  sql::DatabaseOptions database_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Reader> reader_;
};

inline std::string EngineName(const ::testing::TestParamInfo<Engine>& info) {
  return test::NameOf(info.param);
}
// NOLINTNEXTLINE(cert-err58-cpp): gtest's own
#define INSTANTIATE_STORE_SUITE(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(Databases, suite,                                                      \
                           ::testing::Values(Engine::kSqlite, Engine::kPostgres, Engine::kMysql), \
                           EngineName)

}  // namespace fairlead::endpoint::store
