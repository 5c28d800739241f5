#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "endpoint/store/reader.h"
#include "endpoint/store/store.h"
#include "lib/base/hash.h"
#include "lib/metrics/metrics.h"
#include "unit/fakes/manual_loop.h"
#include "unit/sim/loop_writer.h"

// A store on SQLite whose rows and positions a test writes as batches, and a loop to read it on.
namespace fairlead::endpoint {

class FreshnessScene : public ::testing::Test {
 protected:
  FreshnessScene() {
    folder_ =
        std::filesystem::temp_directory_path() / ("freshness_scene." + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    database_.sqlite_path = folder_ / "fairlead.db";
    store_ = *store::Store::Open(database_, &loop_.clock());
    reader_ = *store_->OpenReader();
    writer_ = std::make_unique<sim::LoopWriter>(store_.get(), &loop_,
                                                [] { return base::milliseconds(1); });
  }
  ~FreshnessScene() override { std::filesystem::remove_all(folder_); }

  // The account has a shard from here on, at term 1.
  void AddAccount(const base::U128& uid) {
    ASSERT_TRUE(store_->CreateShard({uid, 0}).ok());
    ASSERT_TRUE(store_->NewTerm({uid, 0}, "agent", {}).ok());
  }
  // The next batch of the account, of pods alone.
  void Write(const base::U128& uid, std::vector<store::Entry> entries) {
    store::Batch batch;
    batch.shard = {uid, 0};
    batch.epoch = batch.term = 1;
    batch.seq = store_->GetShard(batch.shard)->last_seq + 1;
    batch.kinds = {{"", "pods", "Pod", "v1", true}};
    batch.entries = std::move(entries);
    ASSERT_TRUE(writer_->Submit(std::move(batch), nullptr).ok());
    loop_.Advance(base::milliseconds(5));
  }
  static store::Change Pod(const std::string& name) {
    store::Change change;
    change.name_space = "ns";
    change.name = name;
    change.uid = "uid-" + name;
    change.resource_version = "5";
    change.history = 1;
    change.body = R"({"metadata":{"name":")" + name + R"("}})";
    change.content_hash = base::Sha256Trunc128(change.body);
    return change;
  }
  // Nothing at or before version 9 is missing.
  static store::Checkpoint UpToDate() {
    return {.kind = 0, .watch = "", .history = 1, .resource_version = "9", .rules_hash = "r"};
  }
  void ByHand(const std::string& sql) { ASSERT_TRUE(store_->connection().Execute(sql).ok()); }

  std::filesystem::path folder_;
  sql::DatabaseOptions database_;
  fakes::ManualLoop loop_;
  metrics::Registry metrics_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Reader> reader_;
  std::unique_ptr<sim::LoopWriter> writer_;
};

}  // namespace fairlead::endpoint
