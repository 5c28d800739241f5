#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/clock.h"

namespace fairlead::op {

// coordination.k8s.io/v1 Lease, as far as election needs it. Times are other machines' wall clocks:
// written for people, never compared.
struct LeaseRecord {
  std::string holder;  // "" = released
  int duration_seconds = 0;
  int transitions = 0;
  std::string acquire_time;
  std::string renew_time;
  std::string resource_version;  // "" = the Lease does not exist yet
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

struct LeaseOptions {
  std::string identity;
  base::Duration lease = base::seconds(15);  // others wait this long after our last renewal
  base::Duration renew_deadline = base::seconds(10);  // without a renewal we stop by ourselves
  base::Duration retry = base::seconds(2);
};

// Leader election by a Lease. Pure: its owner reads and writes the Lease and tells what came of it.
//
// Guarantees: at most one process whose MayWrite() is true, as long as clocks run at rates that
//   differ by less than lease / renew_deadline and writes end within `lease - renew_deadline`.
//   Expiry is judged by local time since the record was last seen to change. A slow request counts
//   from when it was sent. One failed or slow renewal is not a loss; the deadline is.
// Assumes: one thread; at most one request at a time (it asks for none while one is under way).
// Source: Kubernetes "Leases"; rules L2 and L3 of the operator checklist's election section.
// Tests: unit/operator/runtime/lease_machine_test.cc.
class LeaseMachine {
 public:
  struct Read {};
  // Create when record.resource_version is "", else update with it as precondition.
  struct Write {
    LeaseRecord record;
  };
  struct Lead {};  // begin to work
  struct Lost {};  // stop writing at once and exit
  using Action = std::variant<Read, Write, Lead, Lost>;
  using Actions = std::vector<Action>;

  LeaseMachine(const LeaseOptions& options, uint64_t seed);

  // Call at NextWake(). `wall_time` is RFC 3339 with microseconds, for the record's times.
  [[nodiscard]] Actions Tick(base::Time now, const std::string& wall_time);
  // The Lease as read; nullopt = it does not exist.
  [[nodiscard]] Actions OnRead(const std::optional<LeaseRecord>& record, base::Time now,
                               const std::string& wall_time);
  // What came of Write: the record with its new resourceVersion, or an error. Aborted = conflict or
  // already exists: somebody else wrote.
  [[nodiscard]] Actions OnWritten(const LeaseRecord& record, base::Time now);
  [[nodiscard]] Actions OnFailed(const absl::Status& why, base::Time now);
  // Leave the Lease to the next at once, after all guarded work has ended.
  [[nodiscard]] std::optional<Write> Release(const std::string& wall_time);

  // The fence: asked before each mutating request.
  [[nodiscard]] bool MayWrite(base::Time now) const;
  [[nodiscard]] bool leading() const { return leading_; }
  [[nodiscard]] const std::string& holder() const { return seen_.holder; }
  [[nodiscard]] base::Time NextWake() const { return next_; }

 private:
  void Observe(const LeaseRecord& record, base::Time now);
  Actions TryAcquire(base::Time now, const std::string& wall_time);
  base::Duration Jittered(base::Duration d);

  LeaseOptions options_;
  uint64_t random_;
  bool leading_ = false;
  bool lost_ = false;
  bool under_way_ = false;
  bool read_first_ = true;  // what we saw last may be stale: read before writing
  LeaseRecord seen_;
  base::Time seen_changed_{};
  base::Time sent_{};
  base::Time renewed_{};  // when the last successful write was sent
  base::Time next_{};
};

}  // namespace fairlead::op
