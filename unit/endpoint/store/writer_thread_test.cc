#include "endpoint/store/writer_thread.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <string>

#include "endpoint/store/store.h"
#include "lib/base/hash.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {
namespace {

class WriterThreadTest : public ::testing::Test {
 protected:
  WriterThreadTest() {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    store_ = *Store::Open({.sqlite_path = dir_ / "test.db"}, &clock_);
    EXPECT_TRUE(store_->CreateShard(shard_).ok());
    EXPECT_TRUE(store_->NewTerm(shard_, "agent", {}).ok());
    writer_ = std::make_unique<WriterThread>(store_.get(), WriterThreadOptions{}, nullptr);
  }
  ~WriterThreadTest() override {
    writer_->Stop(base::seconds(5));
    writer_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }
  // On the writer's thread, whose clock nobody else may move; waits for it.
  void Do(std::function<void(Store&)> task) {
    std::promise<void> done;
    ASSERT_TRUE(writer_
                    ->Do([&](Store& store) {
                      task(store);
                      done.set_value();
                    })
                    .ok());
    done.get_future().wait();
  }
  int64_t RowsInTheFile() {
    int64_t rows = -1;
    Do([&](Store& store) {
      const auto query = *store.connection().Prepare("SELECT count(*) FROM objects");
      if (query->Step().ok()) rows = query->Int(0);
    });
    return rows;
  }

  const ShardKey shard_{{1, 1}, 0};
  const std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / ("writer_thread_test." + std::to_string(getpid()));
  base::ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<WriterThread> writer_;
};

TEST_F(WriterThreadTest, WhatWasDroppedLeavesTheFileAlthoughTheStoreIsNeverIdle) {
  Change change;
  change.name_space = "ns";
  change.name = "p";
  change.uid = "uid";
  change.resource_version = "5";
  change.history = 1;
  change.body = "{}";
  change.content_hash = base::Sha256Trunc128(change.body);
  Batch batch;
  batch.shard = shard_;
  batch.epoch = 1;
  batch.term = 1;
  batch.seq = 1;
  batch.kinds = {{"", "pods", "Pod", "v1", true}};
  batch.entries = {change};
  std::promise<BatchResult> written;
  ASSERT_TRUE(
      writer_->Submit(batch, [&](BatchResult result) { written.set_value(std::move(result)); })
          .ok());
  ASSERT_TRUE(written.get_future().get().status.ok());
  Do([&](Store& store) { ASSERT_TRUE(store.DropShardRows(shard_).ok()); });
  EXPECT_EQ(RowsInTheFile(), 1);
  for (int second = 0; second < 31; ++second) {
    Do([&](Store&) { clock_.Advance(base::seconds(1)); });
  }
  EXPECT_EQ(RowsInTheFile(), 0);
}

}  // namespace
}  // namespace fairlead::endpoint::store
