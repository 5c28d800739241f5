#include "endpoint/freshness/monitor.h"

#include <algorithm>
#include <utility>

#include "lib/log/log.h"
#include "lib/metrics/names.h"

namespace fairlead::endpoint {
namespace {

constexpr base::Duration kPass = base::minutes(1);
constexpr base::Duration kLeastPause = base::milliseconds(50);

}  // namespace

FreshnessMonitor::FreshnessMonitor(store::Reader* reader, const FleetBoard* board,
                                   ListAccounts list, base::Loop* reads, metrics::Registry* metrics)
    : reader_(reader),
      board_(board),
      list_(std::move(list)),
      reads_(reads),
      oldest_(&metrics->GetGauge(metrics::kFreshnessOldest,
                                 "Age of the oldest watch that is not refused by its cluster")),
      held_(&metrics->GetGauge(metrics::kFreshnessHeld, "Rows that deletion protection keeps")) {
  for (const Freshness state : kEveryFreshness) {
    states_[state] = &metrics->GetGauge(metrics::kFreshnessWatches, "Watches by state",
                                        {{"state", std::string(FreshnessName(state))}});
  }
}

void FreshnessMonitor::Start() {
  reads_->Post([this] { Pass(); });
}

void FreshnessMonitor::Pass() {
  timer_ = reads_->After(kPass, [this] { Pass(); });  // should the list never come
  list_([this](std::vector<base::U128> accounts) {
    reads_->Post([this, accounts = std::move(accounts)]() mutable {
      totals_ = {};
      left_ = std::move(accounts);
      pause_ = std::max(kLeastPause, kPass / static_cast<int64_t>(left_.size() + 1));
      Next();
    });
  });
}

void FreshnessMonitor::Next() {
  if (left_.empty()) {
    Show();
    timer_ = reads_->After(pause_, [this] { Pass(); });
    return;
  }
  Add(left_.back());
  left_.pop_back();
  timer_ = reads_->After(left_.empty() ? base::Duration::zero() : pause_, [this] { Next(); });
}

void FreshnessMonitor::Add(const base::U128& account) {
  const auto positions = reader_->Positions({account, 0}, false);
  if (!positions.ok()) {
    log::Warn("freshness could not be read", {{"error", positions.status()}});
    return;
  }
  const base::Clock& clock = reads_->clock();
  for (const WatchReport& one :
       Report(*positions, board_->Get(account), board_->Own(account).granted,
              board_->Freshness(account), clock.Now(), clock.WallMs())) {
    ++totals_.states[one.freshness.state];
    totals_.held += one.position.held;
    if (one.freshness.state == Freshness::kForbidden) continue;
    totals_.oldest_ms = std::max(totals_.oldest_ms, one.facts.age_ms);
  }
}

void FreshnessMonitor::Show() {
  for (const auto& [state, gauge] : states_) {
    gauge->Set(static_cast<double>(totals_.states[state]));
  }
  oldest_->Set(static_cast<double>(totals_.oldest_ms) / 1000);
  held_->Set(static_cast<double>(totals_.held));
}

}  // namespace fairlead::endpoint
