#include "agent/account/audit_schedule.h"

#include <gtest/gtest.h>

namespace fairlead::agent {
namespace {

using base::hours;
using base::minutes;
using base::seconds;

const base::Time kStart = base::Time() + hours(1000);

TEST(AuditSchedule, IsDueADayAfterTheProofGiveOrTakeATenth) {
  for (uint64_t seed = 1; seed < 200; ++seed) {
    const AuditSchedule schedule(seed, hours(5), kStart);
    EXPECT_GE(schedule.due() - (kStart - hours(5)), AuditSchedule::kDay * 9 / 10);
    EXPECT_LE(schedule.due() - (kStart - hours(5)), AuditSchedule::kDay * 11 / 10);
  }
}

TEST(AuditSchedule, WhatIsOverdueOrWasNeverProvenIsSpreadOverAnHour) {
  base::Duration sum{};
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const AuditSchedule never(seed, std::nullopt, kStart);
    const AuditSchedule old(seed, hours(300), kStart);
    EXPECT_LE(never.due(), kStart + hours(1));
    EXPECT_LE(old.due(), kStart + hours(1));
    sum += never.due() - kStart;
  }
  EXPECT_GT(sum / 200, minutes(20));
  EXPECT_LT(sum / 200, minutes(40));
}

TEST(AuditSchedule, AnOrderIsDueAtOnceAndOnce) {
  AuditSchedule schedule(1, hours(1), kStart);
  schedule.Order(kStart);
  EXPECT_EQ(schedule.due(), kStart);
  schedule.Began(kStart);
  EXPECT_GT(schedule.due(), kStart + hours(20));
}

TEST(AuditSchedule, WhatCouldNotBeginIsTriedAgainSoon) {
  AuditSchedule schedule(1, hours(1), kStart);
  schedule.NotNow(kStart);
  EXPECT_EQ(schedule.due(), kStart + AuditSchedule::kAgain);
}

TEST(AuditSchedule, WhatProvedNothingIsRepeatedWithBackoffUpToAnHourUntilAProof) {
  AuditSchedule schedule(1, hours(1), kStart);
  base::Time now = kStart;
  base::Duration longest{};
  for (int i = 0; i < 30; ++i) {
    schedule.Compared(false, now);
    EXPECT_LE(schedule.due() - now, hours(1));
    if (i == 0) {
      EXPECT_LE(schedule.due() - now, AuditSchedule::kAgain);
    }
    longest = std::max(longest, schedule.due() - now);
    now = schedule.due();
  }
  EXPECT_GT(longest, minutes(10));
  schedule.Compared(true, now);
  EXPECT_GT(schedule.due(), now + hours(20));
  schedule.Compared(false, now);
  EXPECT_LE(schedule.due(), now + AuditSchedule::kAgain) << "the backoff began anew";
}

}  // namespace
}  // namespace fairlead::agent
