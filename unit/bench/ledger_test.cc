#include "bench/ledger.h"

#include <gtest/gtest.h>

#include <string>

#include "bench/corpus.h"

namespace fairlead::bench {
namespace {

constexpr Workload kWorkload{.objects = 10, .events = 25};

void Arrive(Ledger* ledger, uint64_t index, uint64_t number) {
  const uint64_t version =
      number == 0 ? kWorkload.InitialVersion(index) : kWorkload.EventVersion(number - 1);
  ledger->Object(Corpus::PodName(index), Corpus::PodUid(index), std::to_string(version),
                 "..." + Corpus::ChangeOf(index, number), number > 0);
}

Ledger Synced() {
  Ledger ledger(kWorkload);
  for (uint64_t i = 0; i < kWorkload.objects; ++i) Arrive(&ledger, i, 0);
  return ledger;
}

TEST(Ledger, IsSyncedWhenEveryObjectCameAndCompleteWhenEachIsAtItsLastEvent) {
  Ledger ledger(kWorkload);
  for (uint64_t i = 0; i < kWorkload.objects; ++i) {
    EXPECT_FALSE(ledger.synced());
    Arrive(&ledger, i, 0);
  }
  EXPECT_TRUE(ledger.synced());
  for (uint64_t event = 0; event < kWorkload.events; ++event) {
    EXPECT_FALSE(ledger.complete());
    Arrive(&ledger, kWorkload.ObjectOf(event), event + 1);
  }
  EXPECT_TRUE(ledger.complete());
  EXPECT_EQ(ledger.changes(), kWorkload.events);
  EXPECT_EQ(ledger.faults(), 0U) << ledger.first_fault();
}

TEST(Ledger, ALostLastEventLeavesItIncomplete) {
  Ledger ledger = Synced();
  for (uint64_t event = 0; event + 1 < kWorkload.events; ++event) {
    Arrive(&ledger, kWorkload.ObjectOf(event), event + 1);
  }
  EXPECT_FALSE(ledger.complete());
}

TEST(Ledger, CoalescedEventsAreNotMissed) {
  Ledger ledger = Synced();
  for (uint64_t event = kWorkload.events - kWorkload.objects; event < kWorkload.events; ++event) {
    Arrive(&ledger, kWorkload.ObjectOf(event), event + 1);
  }
  EXPECT_TRUE(ledger.complete());
  EXPECT_EQ(ledger.changes(), kWorkload.objects);
  EXPECT_EQ(ledger.faults(), 0U);
}

TEST(Ledger, AChangeThatComesTwiceOrGoesBackIsAFault) {
  Ledger ledger = Synced();
  const uint64_t index = kWorkload.ObjectOf(0);
  Arrive(&ledger, index, 11);
  EXPECT_EQ(ledger.faults(), 0U) << ledger.first_fault();
  Arrive(&ledger, index, 11);
  EXPECT_EQ(ledger.faults(), 1U);
  Arrive(&ledger, index, 1);
  EXPECT_EQ(ledger.faults(), 2U);
}

TEST(Ledger, AnotherBodyUidOrObjectIsAFault) {
  Ledger ledger(kWorkload);
  const std::string version = std::to_string(kWorkload.InitialVersion(3));
  ledger.Object(Corpus::PodName(3), Corpus::PodUid(3), version, Corpus::ChangeOf(3, 1), false);
  EXPECT_EQ(ledger.faults(), 1U);
  ledger.Object(Corpus::PodName(3), Corpus::PodUid(4), version, Corpus::ChangeOf(3, 0), false);
  EXPECT_EQ(ledger.faults(), 2U);
  ledger.Object(Corpus::PodName(4), Corpus::PodUid(4), version, Corpus::ChangeOf(4, 0), false);
  EXPECT_EQ(ledger.faults(), 3U);
  ledger.Object("web", Corpus::PodUid(3), version, Corpus::ChangeOf(3, 0), false);
  EXPECT_EQ(ledger.faults(), 4U);
}

}  // namespace
}  // namespace fairlead::bench
