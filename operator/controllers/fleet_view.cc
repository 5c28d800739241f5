#include "operator/controllers/fleet_view.h"

#include <utility>
#include <vector>

#include "lib/log/log.h"

namespace fairlead::op {

namespace {
constexpr base::Duration kPoll = base::seconds(2);
constexpr base::Duration kGrace = base::seconds(60);
}  // namespace

FleetView::FleetView(std::map<std::string, EndpointClient*> endpoints, OnChange on_change,
                     const base::Clock* clock)
    : endpoints_(std::move(endpoints)), on_change_(std::move(on_change)), clock_(clock) {}

FleetView::~FleetView() { Stop(); }

void FleetView::Start() {
  thread_ = std::thread([this] { Run(); });
}

void FleetView::Stop() {
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<FleetView::Live> FleetView::Get(const std::string& endpoint,
                                              const std::string& account_name) const {
  const base::MutexLock lock(mutex_);
  const auto fleet = fleets_.find(endpoint);
  if (fleet == fleets_.end() || !fleet->second.heard) return std::nullopt;
  const auto found = fleet->second.accounts.find(account_name);
  return found == fleet->second.accounts.end() ? Live{} : found->second.live;
}

void FleetView::Run() {
  for (;;) {
    Poll();
    base::MutexLock lock(mutex_);
    if (wake_.wait_for(lock, kPoll, [this] { return stopping_; })) return;
  }
}

void FleetView::Poll() {
  for (const auto& [name, endpoint] : endpoints_) PollOne(name, endpoint);
}

void FleetView::PollOne(const std::string& name, EndpointClient* endpoint) {
  const auto accounts = endpoint->List();
  if (!accounts.ok()) {
    log::Debug("endpoint does not answer", {{"endpoint", name}, {"error", accounts.status()}});
    return;
  }
  const base::Time now = clock_->Now();
  std::vector<std::string> changed;
  {
    const base::MutexLock lock(mutex_);
    Fleet& fleet = fleets_[name];
    const bool first = !std::exchange(fleet.heard, true);
    std::erase_if(fleet.accounts, [&](const auto& one) { return !accounts->contains(one.first); });
    for (const auto& [account, said] : *accounts) {
      auto [it, is_new] = fleet.accounts.try_emplace(account);
      Entry& entry = it->second;
      const Live before = entry.live;
      // Nobody knows how long it has been away when the operator starts: the grace begins now.
      if (said.connected || is_new) entry.connected_at = now;
      if (said.synced || is_new) entry.synced_at = now;
      entry.live.connected =
          said.connected || (!is_new && before.connected && now - entry.connected_at < kGrace);
      entry.live.synced =
          said.synced || (!is_new && before.synced && now - entry.synced_at < kGrace);
      if (said.refused.empty() || is_new) entry.whole_at = now;
      const bool refused = now - entry.whole_at >= kGrace;
      entry.live.refused = refused ? said.refused : std::string();
      if (said.connected) entry.live.revision = said.revision;
      if (first || !(entry.live == before)) changed.push_back(account);
    }
  }
  for (const std::string& account : changed) on_change_(account);
}

}  // namespace fairlead::op
