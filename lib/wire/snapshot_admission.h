#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "lib/base/clock.h"

namespace fairlead::wire {

// Admits at most `tokens` snapshots at a time over all accounts, in the order they asked, so that
// an outage does not end in a storm of lists. One that has no end in `most_time` may go on, but
// counts no more: a cluster that hangs holds up nobody else's. Pure; one thread.
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

  struct Options {
    size_t tokens = 8;
    size_t most_per_owner = 1024;  // what one agent can queue for one grant
    base::Duration most_time = base::minutes(10);
  };
  explicit SnapshotAdmission(const Options& options) : options_(options) {}

  // Each returns the tickets admitted by it, which may be others than the one given.
  [[nodiscard]] std::vector<Ticket> Ask(const Ticket& ticket, base::Time now);
  [[nodiscard]] std::vector<Ticket> Done(const Ticket& ticket, base::Time now);
  [[nodiscard]] std::vector<Ticket> OwnerGone(uint64_t owner, base::Time now);
  // Those that took too long count no more.
  [[nodiscard]] std::vector<Ticket> Tick(base::Time now);

  [[nodiscard]] size_t admitted() const { return admitted_.size(); }
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }

 private:
  std::vector<Ticket> Admit(base::Time now);
  void Forget(uint64_t owner);

  const Options options_;
  absl::flat_hash_map<Ticket, base::Time> admitted_;  // since when
  std::deque<Ticket> queue_;  // in order of asking; those no longer in waiting_ are skipped
  absl::flat_hash_set<Ticket> waiting_;
  absl::flat_hash_map<uint64_t, size_t> per_owner_;
};

}  // namespace fairlead::wire
