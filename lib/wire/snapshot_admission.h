#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace fairlead::wire {

// Admits at most `tokens` snapshots at a time over all accounts, in the order they asked, so that
// an outage does not end in a storm of lists. Pure; one thread.
class SnapshotAdmission {
 public:
  struct Ticket {
    uint64_t owner = 0;       // whoever asked; the caller's own number, say of a grant
    std::string snapshot_id;  // 16 bytes

    friend bool operator==(const Ticket&, const Ticket&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Ticket& t) {
      return H::combine(std::move(h), t.owner, t.snapshot_id);
    }
  };

  // `most_per_owner` bounds what one agent can queue for one grant.
  explicit SnapshotAdmission(size_t tokens, size_t most_per_owner = 1024)
      : tokens_(tokens), most_per_owner_(most_per_owner) {}

  // Each returns the tickets admitted by it, which may be others than the one given.
  [[nodiscard]] std::vector<Ticket> Ask(const Ticket& ticket);
  [[nodiscard]] std::vector<Ticket> Done(const Ticket& ticket);
  [[nodiscard]] std::vector<Ticket> OwnerGone(uint64_t owner);

  [[nodiscard]] bool Admitted(const Ticket& ticket) const { return admitted_.contains(ticket); }
  [[nodiscard]] size_t admitted() const { return admitted_.size(); }
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }

 private:
  std::vector<Ticket> Admit();
  void Forget(uint64_t owner);

  const size_t tokens_;
  const size_t most_per_owner_;
  absl::flat_hash_set<Ticket> admitted_;
  std::deque<Ticket> queue_;  // in order of asking; those no longer in waiting_ are skipped
  absl::flat_hash_set<Ticket> waiting_;
  absl::flat_hash_map<uint64_t, size_t> per_owner_;
};

}  // namespace fairlead::wire
