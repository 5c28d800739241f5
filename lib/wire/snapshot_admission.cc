#include "lib/wire/snapshot_admission.h"

#include <utility>

namespace fairlead::wire {

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Ask(const Ticket& ticket,
                                                              base::Time now) {
  if (admitted_.contains(ticket)) return {ticket};
  if (waiting_.contains(ticket)) return {};
  size_t& owned = per_owner_[ticket.owner];
  if (owned >= options_.most_per_owner) return {};
  ++owned;
  waiting_.insert(ticket);
  queue_.push_back(ticket);
  return Admit(now);
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Done(const Ticket& ticket,
                                                               base::Time now) {
  if (admitted_.erase(ticket) + waiting_.erase(ticket) == 0) return {};
  Forget(ticket.owner);
  return Admit(now);
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::OwnerGone(uint64_t owner,
                                                                    base::Time now) {
  if (per_owner_.erase(owner) == 0) return {};
  const auto owned = [owner](const Ticket& ticket) { return ticket.owner == owner; };
  absl::erase_if(admitted_, [&](const auto& one) { return owned(one.first); });
  absl::erase_if(waiting_, owned);
  std::erase_if(queue_, owned);
  return Admit(now);
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Tick(base::Time now) {
  const auto late = [&](const auto& one) { return now - one.second > options_.most_time; };
  for (const auto& one : admitted_) {
    if (late(one)) Forget(one.first.owner);
  }
  absl::erase_if(admitted_, late);
  return Admit(now);
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Admit(base::Time now) {
  std::vector<Ticket> fresh;
  while (admitted_.size() < options_.tokens && !queue_.empty()) {
    Ticket next = std::move(queue_.front());
    queue_.pop_front();
    if (waiting_.erase(next) == 0) continue;
    admitted_.emplace(next, now);
    fresh.push_back(std::move(next));
  }
  return fresh;
}

void SnapshotAdmission::Forget(uint64_t owner) {
  const auto found = per_owner_.find(owner);
  if (found != per_owner_.end() && --found->second == 0) per_owner_.erase(found);
}

}  // namespace fairlead::wire
