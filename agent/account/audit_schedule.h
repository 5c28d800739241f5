#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"

namespace fairlead::agent {

// When the rows of one watch are to be compared with a fresh list (DESIGN section 2, invariant 9):
// a day after they were last proven, jittered by a tenth; within the hour when that is overdue, so
// that agents that start together do not list together; at once when ordered; and after a
// comparison that proved nothing again, with backoff up to an hour. Pure; one thread.
class AuditSchedule {
 public:
  // `seed` of all jitter. `verified_age`: how long ago the rows were proven; nullopt = never.
  AuditSchedule(uint64_t seed, std::optional<base::Duration> verified_age, base::Time now);
  // Somebody wants it now.
  void Order(base::Time now) { due_ = now; }
  // A snapshot, of whatever reason, was compared.
  void Compared(bool verified, base::Time now);
  // It could not begin: the watch is not open, or a snapshot is under way.
  void NotNow(base::Time now) { due_ = now + kAgain; }
  // It began; the next is of tomorrow, should nothing be said of this one.
  void Began(base::Time now) { due_ = Tomorrow(now); }
  [[nodiscard]] base::Time due() const { return due_; }

  static constexpr base::Duration kDay = base::hours(24);
  static constexpr base::Duration kOverdue = base::hours(1);
  static constexpr base::Duration kAgain = base::seconds(10);

 private:
  [[nodiscard]] base::Time Tomorrow(base::Time proven);
  [[nodiscard]] base::Duration Within(base::Duration most);

  uint64_t random_;
  base::Backoff doubt_;
  base::Time due_;
};

}  // namespace fairlead::agent
