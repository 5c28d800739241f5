#include "lib/wire/snapshot_admission.h"

#include <utility>

namespace fairlead::wire {

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Ask(const Ticket& ticket) {
  if (admitted_.contains(ticket)) return {ticket};
  if (waiting_.contains(ticket)) return {};
  size_t& owned = per_owner_[ticket.owner];
  if (owned >= most_per_owner_) return {};
  ++owned;
  waiting_.insert(ticket);
  queue_.push_back(ticket);
  return Admit();
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Done(const Ticket& ticket) {
  if (admitted_.erase(ticket) + waiting_.erase(ticket) == 0) return {};
  Forget(ticket.owner);
  return Admit();
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::OwnerGone(uint64_t owner) {
  if (per_owner_.erase(owner) == 0) return {};
  const auto owned = [owner](const Ticket& ticket) { return ticket.owner == owner; };
  absl::erase_if(admitted_, owned);
  absl::erase_if(waiting_, owned);
  std::erase_if(queue_, owned);
  return Admit();
}

std::vector<SnapshotAdmission::Ticket> SnapshotAdmission::Admit() {
  std::vector<Ticket> now;
  while (admitted_.size() < tokens_ && !queue_.empty()) {
    Ticket next = std::move(queue_.front());
    queue_.pop_front();
    if (waiting_.erase(next) == 0) continue;
    admitted_.insert(next);
    now.push_back(std::move(next));
  }
  return now;
}

void SnapshotAdmission::Forget(uint64_t owner) {
  const auto found = per_owner_.find(owner);
  if (found != per_owner_.end() && --found->second == 0) per_owner_.erase(found);
}

}  // namespace fairlead::wire
