#include "unit/sim/loop_writer.h"

#include <utility>

namespace fairlead::sim {

namespace store = endpoint::store;

absl::StatusOr<sql::Connection::StatementPtr> FaultyConnection::Prepare(std::string_view sql) {
  if (fault_ && fault_->kind == WriteFault::Kind::kStatement && --fault_->at <= 0) {
    fault_.reset();
    return absl::ResourceExhaustedError("sim: disk full");
  }
  return inner_->Prepare(sql);
}

absl::Status FaultyConnection::Commit() {
  if (!fault_ || fault_->kind == WriteFault::Kind::kStatement) return inner_->Commit();
  const WriteFault fault = *std::exchange(fault_, std::nullopt);
  if (fault.kind == WriteFault::Kind::kCommitLanded) {
    if (const absl::Status real = inner_->Commit(); !real.ok()) return real;
  } else {
    inner_->Rollback();
  }
  if (fault.then) fault.then();
  return absl::UnavailableError("sim: commit failed");
}

LoopWriter::LoopWriter(store::Store* store, base::Loop* loop, std::function<base::Duration()> pace)
    : store_(store),
      loop_(loop),
      pace_(std::move(pace)),
      connection_(&store->connection()),
      writer_(&connection_, &store->clock(), {.replica = store->replica()}) {}

absl::Status LoopWriter::Submit(Batch batch, BatchDone done) {
  if (queued_bytes_ > 0 && queued_bytes_ + batch.bytes > kQueueBytes) {
    return absl::ResourceExhaustedError("sim: the writer's queue is full");
  }
  queued_bytes_ += batch.bytes;
  jobs_.push_back({std::move(batch), std::move(done), nullptr});
  Arm(pace_());
  return absl::OkStatus();
}

absl::Status LoopWriter::Do(Task task) {
  jobs_.push_back({std::nullopt, nullptr, std::move(task)});
  Arm(pace_());
  return absl::OkStatus();
}

absl::Status LoopWriter::NewTerm(const store::ShardKey& key, std::string holder,
                                 std::vector<store::Seen> seen,
                                 std::function<void(absl::StatusOr<store::Term>)> done) {
  return Do([this, key, holder = std::move(holder), seen = std::move(seen),
             done = std::move(done)](store::Store& from) {
    writer_.ForgetShard(key);
    done(from.NewTerm(key, holder, seen));
  });
}

void LoopWriter::SetPaused(bool paused) {
  paused_ = paused;
  if (paused_) {
    timer_.reset();
  } else {
    Arm(pace_());
  }
}

void LoopWriter::Arm(base::Duration after) {
  if (timer_ || paused_ || (jobs_.empty() && group_.empty())) return;
  timer_ = loop_->After(after, [this] {
    const std::unique_ptr<base::Timer> fired = std::move(timer_);
    Step();
  });
}

void LoopWriter::Step() {
  if (group_.empty() && jobs_.front().task) {
    const Task task = std::move(jobs_.front().task);
    jobs_.pop_front();
    task(*store_);
    return Arm(pace_());
  }
  if (group_.empty()) {
    while (!jobs_.empty() && !jobs_.front().task && group_.size() < kGroup) {
      group_.push_back(*std::move(jobs_.front().batch));
      group_done_.push_back(std::move(jobs_.front().done));
      jobs_.pop_front();
    }
  }
  Write();
}

void LoopWriter::Write() {
  std::vector<store::BatchResult> results;
  if (!writer_.Write(group_, &results).ok()) {
    ++failures_;
    return Arm(base::milliseconds(100));
  }
  const std::vector<Batch> group = std::exchange(group_, {});
  const std::vector<BatchDone> done = std::exchange(group_done_, {});
  for (size_t i = 0; i < group.size(); ++i) {
    queued_bytes_ -= group[i].bytes;
    written_ += results[i].written;
    deleted_ += results[i].deleted;
    if (observer_) observer_(group[i], results[i]);
    if (done[i]) done[i](std::move(results[i]));
  }
  Arm(pace_());
}

}  // namespace fairlead::sim
