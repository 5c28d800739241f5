#include "agent/account/audit_schedule.h"

#include <algorithm>

namespace fairlead::agent {

AuditSchedule::AuditSchedule(uint64_t seed, std::optional<base::Duration> verified_age,
                             base::Time now)
    : random_(seed), doubt_({.first = kAgain, .most = base::hours(1)}, seed) {
  due_ = now + Within(kOverdue);
  if (verified_age && *verified_age < kDay) due_ = std::max(due_, Tomorrow(now - *verified_age));
}

void AuditSchedule::Compared(bool verified, base::Time now) {
  if (verified) {
    doubt_.Reset();
    due_ = Tomorrow(now);
  } else {
    due_ = now + doubt_.Next();
  }
}

base::Time AuditSchedule::Tomorrow(base::Time proven) {
  return proven + kDay - kDay / 10 + Within(kDay / 5);
}

base::Duration AuditSchedule::Within(base::Duration most) {
  const auto part = static_cast<int64_t>(base::NextRandom(&random_) % 1000);
  return most / 1000 * part;
}

}  // namespace fairlead::agent
