#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "endpoint/store/store.h"
#include "endpoint/store/writer.h"
#include "endpoint/store/writer_queue.h"
#include "lib/base/loop.h"
#include "lib/sql/connection.h"

namespace fairlead::sim {

// What goes wrong with a transaction of the writer's.
struct WriteFault {
  enum class Kind {
    kStatement,     // the `at`-th statement prepared fails, as on a full disk
    kCommitLost,    // the commit fails and nothing landed
    kCommitLanded,  // the commit lands and says that it failed
  };
  Kind kind = Kind::kStatement;
  int at = 1;
  std::function<void()> then;  // before a commit says that it failed
};

// A connection that fails when it is told to; everything else is the inner one's.
class FaultyConnection : public sql::Connection {
 public:
  explicit FaultyConnection(sql::Connection* inner) : inner_(inner) {}
  void Plan(const WriteFault& fault) { fault_ = fault; }

  [[nodiscard]] absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override;
  absl::Status Execute(std::string_view sql) override { return inner_->Execute(sql); }
  [[nodiscard]] int64_t Changes() const override { return inner_->Changes(); }
  [[nodiscard]] absl::StatusOr<int64_t> LastInsertId() override { return inner_->LastInsertId(); }
  absl::Status Begin() override { return inner_->Begin(); }
  absl::Status BeginRead() override { return inner_->BeginRead(); }
  absl::Status Commit() override;
  void Rollback() override { inner_->Rollback(); }
  [[nodiscard]] bool InTransaction() const override { return inner_->InTransaction(); }
  absl::Status SetDurability(sql::Durability durability) override {
    return inner_->SetDurability(durability);
  }
  [[nodiscard]] const sql::Dialect& dialect() const override { return inner_->dialect(); }

 protected:
  void Return(sql::Statement*) override {}  // statements go back to the inner one

 private:
  sql::Connection* inner_;
  std::optional<WriteFault> fault_;
};

// WriterThread's contract on a loop, so that a simulation is of one thread: batches that wait are
// grouped into one transaction of the real Writer, and a transaction that failed is tried again.
// Destroying it is a crash: what was not committed is lost.
class LoopWriter : public endpoint::store::WriterQueue {
 public:
  using Batch = endpoint::store::Batch;

  // `pace`: how long until the next transaction or task begins.
  LoopWriter(endpoint::store::Store* store, base::Loop* loop, std::function<base::Duration()> pace);
  absl::Status Submit(Batch batch, BatchDone done) override;
  absl::Status Do(Task task) override;
  absl::Status NewTerm(const endpoint::store::ShardKey& key, std::string holder,
                       std::vector<endpoint::store::Seen> seen,
                       std::function<void(absl::StatusOr<endpoint::store::Term>)> done) override;
  [[nodiscard]] size_t queued_bytes() const override { return queued_bytes_; }

  void Plan(const WriteFault& fault) { connection_.Plan(fault); }
  void SetPaused(bool paused);
  // Sees every batch that was decided.
  using Observer = std::function<void(const Batch&, const endpoint::store::BatchResult&)>;
  void Observe(Observer observer) { observer_ = std::move(observer); }

  [[nodiscard]] uint64_t written() const { return written_; }
  [[nodiscard]] uint64_t deleted() const { return deleted_; }
  [[nodiscard]] uint64_t failures() const { return failures_; }

 private:
  struct Job {
    std::optional<Batch> batch;
    BatchDone done;
    Task task;
  };
  static constexpr size_t kGroup = 16;
  static constexpr size_t kQueueBytes = size_t{64} << 20;

  void Arm(base::Duration after);
  void Step();
  void Write();

  endpoint::store::Store* store_;
  base::Loop* loop_;
  std::function<base::Duration()> pace_;
  FaultyConnection connection_;
  endpoint::store::Writer writer_;
  Observer observer_;
  std::deque<Job> jobs_;
  std::vector<Batch> group_;  // of the transaction under way, tried until it is decided
  std::vector<BatchDone> group_done_;
  size_t queued_bytes_ = 0;
  bool paused_ = false;
  uint64_t written_ = 0;
  uint64_t deleted_ = 0;
  uint64_t failures_ = 0;
  std::unique_ptr<base::Timer> timer_;
};

}  // namespace fairlead::sim
