#include "endpoint/replicas/coordinator.h"

#include <map>
#include <set>
#include <thread>
#include <utility>

#include "endpoint/replicas/replica_judge.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/log/log.h"
#include "lib/metrics/metrics.h"
#include "lib/metrics/names.h"

namespace fairlead::endpoint {
namespace {

// Without a sign that a shard is free one looks all the same, now and then.
constexpr base::Duration kLookForFreeEvery = base::seconds(2);
constexpr base::Duration kLate = base::seconds(1);
constexpr size_t kBoardRowsAtOnce = 200;

}  // namespace

class Coordinator::Impl {
 public:
  Impl(const CoordinatorOptions& options, std::unique_ptr<store::ReplicaRows> rows,
       std::string self, FleetBoard* board, CoordinatorListener* listener, const base::Clock* clock,
       metrics::Registry* registry)
      : options_(options),
        rows_(std::move(rows)),
        self_(std::move(self)),
        board_(board),
        listener_(listener),
        clock_(clock) {
    if (registry != nullptr)
      alive_ = &registry->GetGauge(metrics::kReplicas, "Replicas of the endpoint that live");
    thread_ = std::thread([this] { Loop(); });
  }
  ~Impl() { Stop(); }

  void Changed(const base::U128& account) {
    const base::MutexLock lock(mutex_);
    changed_.insert(account);
  }

  [[nodiscard]] std::string problem() const {
    const base::MutexLock lock(mutex_);
    return problem_;
  }

  void Stop() {
    {
      const base::MutexLock lock(mutex_);
      stopping_ = true;
      wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Loop() {
    do {
      const absl::Status status = Turn();
      if (!status.ok()) doubt_ = true;
      SetProblem(status);
    } while (Wait());
    const absl::Status left = rows_->Leave();
    if (!left.ok()) log::Warn("this replica's shards were not handed over", {{"error", left}});
  }

  void SetProblem(const absl::Status& status) {
    const base::MutexLock lock(mutex_);
    if (!status.ok() && problem_.empty())
      log::Warn("other replicas cannot be seen: nothing moves", {{"error", status}});
    problem_ = status.ok() ? "" : status.ToString();
  }

  bool Wait() {
    base::MutexLock lock(mutex_);
    wake_.wait_for(lock, options_.look_every, [this] { return stopping_; });
    return !stopping_;
  }

  absl::Status Turn() {
    const base::Time now = clock_->Now();
    doubt_ |= last_turn_ != base::Time{} && now - last_turn_ > kLate;
    last_turn_ = now;
    if (beat_ == 0 || now - last_beat_ >= options_.beat_every) {
      FAIRLEAD_RETURN_IF_ERROR(Beat(now));
      last_beat_ = now;
    }
    FAIRLEAD_RETURN_IF_ERROR(SayWhatChanged());
    FAIRLEAD_RETURN_IF_ERROR(LookAtCounters(now));
    if (std::exchange(doubt_, false)) listener_->OnDoubt();
    return absl::OkStatus();
  }

  absl::Status Beat(base::Time now) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool known, rows_->Beat(++beat_));
    if (!known) {
      if (beat_ > 1) {
        doubt_ = true;
        listener_->OnForgotten();
      }
      for (const base::U128& account : board_->OwnAccounts()) Changed(account);
    }
    FAIRLEAD_ASSIGN_OR_RETURN(const auto rows, rows_->Replicas());
    if (alive_ != nullptr) alive_->Set(static_cast<double>(rows.size()));
    for (const store::ReplicaRow& dead : judge_.Observe(rows, clock_->Now())) {
      if (dead.id == self_) continue;
      log::Warn("a replica of the endpoint is gone", {{"replica", dead.id}});
      FAIRLEAD_RETURN_IF_ERROR(rows_->Bury(dead));
    }
    return HearPeers(rows);
  }

  absl::Status HearPeers(const std::vector<store::ReplicaRow>& rows) {
    std::map<std::string, uint64_t> heard;
    for (const store::ReplicaRow& row : rows) {
      if (row.id == self_) continue;
      const auto known = heard_.find(row.id);
      const uint64_t since = known == heard_.end() ? 0 : known->second;
      heard[row.id] = row.board;
      if (row.board == since) continue;
      FAIRLEAD_ASSIGN_OR_RETURN(const auto board, rows_->BoardSince(row.id, since));
      for (const store::BoardRow& one : board) {
        const auto live = LiveFromText(one.live);
        if (live.ok()) board_->SetPeer(row.id, one.account, *live);
      }
    }
    for (const auto& [id, version] : heard_) {
      if (!heard.contains(id)) board_->ForgetPeer(id);
    }
    heard_ = std::move(heard);
    return absl::OkStatus();
  }

  absl::Status SayWhatChanged() {
    std::set<base::U128> changed;
    {
      const base::MutexLock lock(mutex_);
      while (!changed_.empty() && changed.size() < kBoardRowsAtOnce)
        changed.insert(changed_.extract(changed_.begin()));
    }
    if (changed.empty()) return absl::OkStatus();
    std::vector<store::BoardRow> rows;
    for (const base::U128& account : changed)
      rows.push_back({account, LiveToText(board_->Own(account))});
    const absl::Status saved = rows_->SaveBoard(rows);
    if (!saved.ok()) {
      const base::MutexLock lock(mutex_);
      changed_.merge(changed);
    }
    return saved;
  }

  absl::Status LookAtCounters(base::Time now) {
    FAIRLEAD_ASSIGN_OR_RETURN(const store::Counters counters, rows_->ReadCounters());
    const store::Counters before = std::exchange(counters_, counters);
    if (counters.registry != before.registry) listener_->OnRegistry();
    if (counters.released == before.released && now - looked_for_free_ < kLookForFreeEvery)
      return absl::OkStatus();
    looked_for_free_ = now;
    FAIRLEAD_ASSIGN_OR_RETURN(const auto free, rows_->Free());
    if (free.empty()) return absl::OkStatus();
    std::vector<base::U128> accounts;
    for (const store::ShardKey& shard : free) accounts.push_back(shard.account);
    listener_->OnFree(std::move(accounts));
    return absl::OkStatus();
  }

  const CoordinatorOptions options_;
  const std::unique_ptr<store::ReplicaRows> rows_;
  const std::string self_;
  FleetBoard* board_;
  CoordinatorListener* listener_;
  const base::Clock* clock_;
  metrics::Gauge* alive_ = nullptr;

  // The thread's.
  ReplicaJudge judge_{ReplicaJudge::Options{}};
  uint64_t beat_ = 0;
  base::Time last_turn_{};
  base::Time last_beat_{};
  base::Time looked_for_free_{};
  store::Counters counters_;
  std::map<std::string, uint64_t> heard_;  // version of each peer's board
  bool doubt_ = false;

  mutable base::Mutex mutex_;
  base::CondVar wake_;
  std::set<base::U128> changed_;
  std::string problem_;
  bool stopping_ = false;
  std::thread thread_;
};

Coordinator::Coordinator(const CoordinatorOptions& options,
                         std::unique_ptr<store::ReplicaRows> rows, std::string self,
                         FleetBoard* board, CoordinatorListener* listener, const base::Clock* clock,
                         metrics::Registry* registry)
    : impl_(std::make_unique<Impl>(options, std::move(rows), std::move(self), board, listener,
                                   clock, registry)) {}
Coordinator::~Coordinator() = default;

void Coordinator::Changed(const base::U128& account) { impl_->Changed(account); }
std::string Coordinator::problem() const { return impl_->problem(); }
void Coordinator::Stop() { impl_->Stop(); }

}  // namespace fairlead::endpoint
