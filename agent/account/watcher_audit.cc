#include <algorithm>
#include <utility>

#include "agent/account/watcher.h"

// The half of the Watcher that has its rows compared with a fresh list, or lets them go.
namespace fairlead::agent {

void Watcher::BeginAudits(const std::optional<v1::Position>& position) {
  std::optional<base::Duration> verified;
  if (position && position->has_verified_age_ms()) {
    constexpr uint64_t kYearMs = uint64_t{365} * 86'400'000;
    verified = base::milliseconds(std::min(position->verified_age_ms(), kYearMs));
  }
  audits_.emplace(seed_, verified, now());
  ArmAudit();
}

void Watcher::ArmAudit() {
  audit_timer_ = host_->loop()->After(std::max(audits_->due() - now(), base::Duration::zero()),
                                      [this] { Audit(); });
}

void Watcher::Audit() {
  const std::unique_ptr<base::Timer> fired = std::move(audit_timer_);
  const bool quiet = machine_.state() == kube::WatchState::kWatching;
  const kube::Actions actions = quiet ? machine_.Audit(now()) : kube::Actions();
  if (actions.empty()) {
    audits_->NotNow(now());
  } else {
    audits_->Began(now());
    Apply(actions);
  }
  ArmAudit();
}

void Watcher::OnAuditOrder() {
  audits_->Order(now());
  ArmAudit();
}

void Watcher::OnSnapshotDone(const std::string& snapshot_id, bool verified) {
  if (snapshot_id != snapshot_id_) return;
  audits_->Compared(verified, now());
  ArmAudit();
}

// A whole list of nothing. The place in line of an admitted snapshot, if there is one, stays ours.
void Watcher::DeclareGone(const std::string& version) {
  if (machine_.state() != kube::WatchState::kMissing || gone_) return;
  gone_ = true;
  wire::Outbox* outbox = host_->outbox();
  v1::SnapshotBegin begin;
  begin.set_snapshot_id(base::ToBytes(base::RandomU128()));
  begin.set_history(machine_.history());
  begin.set_complete_list(true);
  salt_ = base::RandomU128();
  outbox->SnapshotBegin(watch_number_, std::move(begin), now());
  outbox->SnapshotEnd(watch_number_, version, /*consistent=*/true, /*incomplete=*/false, now());
  host_->OutboxChanged();
}

}  // namespace fairlead::agent
