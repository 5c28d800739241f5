#include "endpoint/store/writer_thread.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include "lib/base/backoff.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/metrics/metrics.h"
#include "lib/metrics/names.h"

namespace fairlead::endpoint::store {

namespace {

struct Job {
  std::optional<Batch> batch;
  WriterThread::BatchDone done;
  WriterThread::Task task;
};

constexpr int kReapRows = 500;
constexpr base::Duration kReapEvery = base::seconds(30);
constexpr base::Duration kReapOnAfter = base::seconds(1);  // while there is more to remove

WriterOptions OfStore(WriterOptions options, const Store& store) {
  options.replica = store.replica();
  return options;
}

}  // namespace

class WriterThread::Impl {
 public:
  Impl(Store* store, const WriterThreadOptions& options, metrics::Registry* registry)
      : store_(store),
        options_(options),
        writer_(&store->connection(), &store->clock(), OfStore(options.writer, *store)),
        backoff_({.first = options.retry_first, .most = options.retry_most}, 1) {
    if (registry != nullptr) {
      written_ =
          &registry->GetCounter(metrics::kStoreRowsWritten, "Object rows inserted or updated");
      deleted_ = &registry->GetCounter(metrics::kStoreRowsDeleted, "Object rows deleted");
      unchanged_ = &registry->GetCounter(metrics::kStoreRowsUnchanged,
                                         "Changes with an unchanged hash, not written");
      refused_ =
          &registry->GetCounter(metrics::kStoreRowsRefused, "Rows the database would not take");
      batches_ = &registry->GetCounter(metrics::kStoreBatches, "Batches committed");
      proven_ = &registry->GetCounter(metrics::kStoreProofs, "Whole lists compared with the rows",
                                      {{"result", "verified"}});
      doubted_ = &registry->GetCounter(metrics::kStoreProofs, "Whole lists compared with the rows",
                                       {{"result", "unproven"}});
      failures_ = &registry->GetCounter(metrics::kStoreFailures,
                                        "Transactions that failed and were tried again");
      queued_ = &registry->GetGauge(metrics::kStoreQueuedBytes,
                                    "Bytes of batches waiting for the writer");
    }
    thread_ = std::thread([this] { Loop(); });
  }

  absl::Status Submit(Batch batch, BatchDone done) {
    const base::MutexLock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the store is shutting down");
    if (queued_bytes_ > 0 && queued_bytes_ + batch.bytes > options_.queue_bytes) {
      return absl::ResourceExhaustedError("the writer's queue is full");
    }
    queued_bytes_ += batch.bytes;
    jobs_.push_back({std::move(batch), std::move(done), nullptr});
    wake_.notify_one();
    return absl::OkStatus();
  }

  absl::Status Do(Task task) {
    const base::MutexLock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the store is shutting down");
    jobs_.push_back({std::nullopt, nullptr, std::move(task)});
    wake_.notify_one();
    return absl::OkStatus();
  }

  absl::Status NewTerm(const ShardKey& key, std::string holder, std::vector<Seen> seen,
                       std::function<void(absl::StatusOr<Term>)> done) {
    return Do([this, key, holder = std::move(holder), seen = std::move(seen),
               done = std::move(done)](Store& store) {
      writer_.ForgetShard(key);
      done(store.NewTerm(key, holder, seen));
    });
  }

  [[nodiscard]] std::string problem() const {
    const base::MutexLock lock(mutex_);
    return problem_;
  }
  [[nodiscard]] size_t queued_bytes() const {
    const base::MutexLock lock(mutex_);
    return queued_bytes_;
  }

  void Stop(base::Duration deadline) {
    {
      const base::MutexLock lock(mutex_);
      if (std::exchange(stopping_, true) && !thread_.joinable()) return;
      give_up_at_ = store_->clock().Now() + deadline;
      wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Loop() {
    std::vector<Job> jobs;
    while (Take(&jobs)) {
      ReapWhenDue();
      if (jobs.empty()) continue;
      if (jobs.front().task) {
        jobs.front().task(*store_);
      } else {
        Write(&jobs);
      }
    }
  }

  // One task, or as many batches as belong into one transaction; nothing when it is time to reap.
  // False at the end of all.
  bool Take(std::vector<Job>* taken) {
    taken->clear();
    base::MutexLock lock(mutex_);
    while (jobs_.empty()) {
      if (stopping_) return false;
      const base::Duration wait = next_reap_ - store_->clock().Now();
      if (wait <= base::Duration::zero()) return true;
      wake_.wait_for(lock, wait);
    }
    size_t bytes = 0;
    while (!jobs_.empty() && bytes < options_.group_bytes) {
      if (jobs_.front().task && !taken->empty()) break;
      taken->push_back(std::move(jobs_.front()));
      jobs_.pop_front();
      if (taken->back().task) break;
      bytes += taken->back().batch->bytes;
    }
    return true;
  }

  // Also of a store that is never idle.
  void ReapWhenDue() {
    const base::Time now = store_->clock().Now();
    if (now < next_reap_) return;
    const auto more = store_->Reap(kReapRows);
    next_reap_ = now + (more.ok() && *more ? kReapOnAfter : kReapEvery);
  }

  void Write(std::vector<Job>* jobs) {
    std::vector<Batch> batches;
    batches.reserve(jobs->size());
    size_t bytes = 0;
    for (Job& job : *jobs) {
      bytes += job.batch->bytes;
      batches.push_back(*std::move(job.batch));
    }
    std::vector<BatchResult> results;
    for (;;) {
      const absl::Status status = writer_.Write(batches, &results);
      SetProblem(status);
      if (status.ok()) break;
      if (failures_ != nullptr) failures_->Add();
      if (!WaitToRetry(status)) {
        results.assign(batches.size(), {});
        for (BatchResult& result : results)
          result.status = absl::UnavailableError("the store is shutting down");
        break;
      }
    }
    {
      const base::MutexLock lock(mutex_);
      queued_bytes_ -= bytes;
      if (queued_ != nullptr) queued_->Set(static_cast<double>(queued_bytes_));
    }
    Count(results);
    for (size_t i = 0; i < results.size(); ++i) (*jobs)[i].done(std::move(results[i]));
  }

  bool WaitToRetry(const absl::Status& why) {
    const base::Duration wait = backoff_.Next();
    log::Error("transaction failed, it will be tried again",
               {{"error", why}, {"waitMs", base::AgeMs(wait)}});
    base::MutexLock lock(mutex_);
    wake_.wait_for(lock, wait, [this] { return stopping_; });
    return !stopping_ || store_->clock().Now() < give_up_at_;
  }

  void SetProblem(const absl::Status& status) {
    const base::MutexLock lock(mutex_);
    problem_ = status.ok() ? "" : status.ToString();
    if (status.ok()) backoff_.Reset();
  }

  void Count(const std::vector<BatchResult>& results) {
    if (written_ == nullptr) return;
    for (const BatchResult& one : results) {
      written_->Add(static_cast<double>(one.written));
      deleted_->Add(static_cast<double>(one.deleted));
      unchanged_->Add(static_cast<double>(one.unchanged));
      refused_->Add(static_cast<double>(one.refused.size()));
      if (one.status.ok()) batches_->Add();
      for (const SnapshotOutcome& ended : one.ended) {
        (ended.verified ? proven_ : doubted_)->Add();
      }
    }
  }

  Store* store_;
  WriterThreadOptions options_;
  Writer writer_;                        // the thread's
  base::Time next_reap_ = base::Time{};  // the thread's
  base::Backoff backoff_;
  metrics::Counter* written_ = nullptr;
  metrics::Counter* deleted_ = nullptr;
  metrics::Counter* unchanged_ = nullptr;
  metrics::Counter* refused_ = nullptr;
  metrics::Counter* batches_ = nullptr;
  metrics::Counter* proven_ = nullptr;
  metrics::Counter* doubted_ = nullptr;
  metrics::Counter* failures_ = nullptr;
  metrics::Gauge* queued_ = nullptr;

  mutable base::Mutex mutex_;
  base::CondVar wake_;
  std::deque<Job> jobs_;
  size_t queued_bytes_ = 0;
  std::string problem_;
  bool stopping_ = false;
  base::Time give_up_at_{};
  std::thread thread_;
};

WriterThread::WriterThread(Store* store, const WriterThreadOptions& options,
                           metrics::Registry* registry)
    : impl_(std::make_unique<Impl>(store, options, registry)) {}
WriterThread::~WriterThread() { impl_->Stop(base::seconds(5)); }

absl::Status WriterThread::Submit(Batch batch, BatchDone done) {
  return impl_->Submit(std::move(batch), std::move(done));
}
absl::Status WriterThread::Do(Task task) { return impl_->Do(std::move(task)); }
absl::Status WriterThread::NewTerm(const ShardKey& key, std::string holder, std::vector<Seen> seen,
                                   std::function<void(absl::StatusOr<Term>)> done) {
  return impl_->NewTerm(key, std::move(holder), std::move(seen), std::move(done));
}
bool WriterThread::healthy() const { return impl_->problem().empty(); }
std::string WriterThread::problem() const { return impl_->problem(); }
size_t WriterThread::queued_bytes() const { return impl_->queued_bytes(); }
void WriterThread::Stop(base::Duration deadline) { impl_->Stop(deadline); }

}  // namespace fairlead::endpoint::store
