#include "lib/wire/shard_ledger.h"

#include <gtest/gtest.h>

namespace fairlead::wire {
namespace {

using Verdict = ShardLedger::Verdict;

constexpr ShardLedger::Grant kGrant{7, 3, 40};

ShardLedger Ledger() {
  ShardLedger::Options options;
  options.credit_bytes = 1000;
  options.least_credit_bytes = 100;
  options.max_message_bytes = 500;
  return {kGrant, options};
}

TEST(ShardLedger, AcceptsTheNextSequenceOnly) {
  ShardLedger ledger = Ledger();
  EXPECT_EQ(ledger.Offer(kGrant, 41, 10), Verdict::kAccept);
  EXPECT_EQ(ledger.Offer(kGrant, 42, 10), Verdict::kAccept);
  EXPECT_EQ(ledger.Offer(kGrant, 44, 10), Verdict::kGap);
  EXPECT_EQ(ledger.received(), 42U);
}

TEST(ShardLedger, ARepeatedSequenceIsADuplicateAndNotAGap) {
  ShardLedger ledger = Ledger();
  EXPECT_EQ(ledger.Offer(kGrant, 40, 10), Verdict::kDuplicate);
  ASSERT_EQ(ledger.Offer(kGrant, 41, 10), Verdict::kAccept);
  EXPECT_EQ(ledger.Offer(kGrant, 41, 10), Verdict::kDuplicate);
  EXPECT_EQ(ledger.in_flight_bytes(), 10U);
}

TEST(ShardLedger, ABatchOfAnotherTermOrEpochIsStaleWhateverItsSequence) {
  ShardLedger ledger = Ledger();
  EXPECT_EQ(ledger.Offer({7, 2, 0}, 41, 10), Verdict::kStale);
  EXPECT_EQ(ledger.Offer({7, 4, 0}, 41, 10), Verdict::kStale);
  EXPECT_EQ(ledger.Offer({6, 3, 0}, 41, 10), Verdict::kStale);
  EXPECT_EQ(ledger.received(), 40U);
}

TEST(ShardLedger, BytesAreInFlightUntilTheirCommit) {
  ShardLedger ledger = Ledger();
  ASSERT_EQ(ledger.Offer(kGrant, 41, 100), Verdict::kAccept);
  ASSERT_EQ(ledger.Offer(kGrant, 42, 200), Verdict::kAccept);
  EXPECT_EQ(ledger.in_flight_bytes(), 300U);
  ledger.Committed(41);
  EXPECT_EQ(ledger.in_flight_bytes(), 200U);
  EXPECT_EQ(ledger.committed(), 41U);
  ledger.Committed(42);
  EXPECT_EQ(ledger.in_flight_bytes(), 0U);
}

TEST(ShardLedger, ASequenceThatWasNeverReceivedCannotBeCommitted) {
  ShardLedger ledger = Ledger();
  ASSERT_EQ(ledger.Offer(kGrant, 41, 100), Verdict::kAccept);
  ledger.Committed(99);
  EXPECT_EQ(ledger.committed(), 41U);
}

TEST(ShardLedger, AnAgentThatIgnoresItsCreditIsCutOff) {
  ShardLedger ledger = Ledger();
  uint64_t seq = 41;
  for (; seq < 46; ++seq) ASSERT_EQ(ledger.Offer(kGrant, seq, 500), Verdict::kAccept);
  EXPECT_EQ(ledger.Offer(kGrant, seq, 500), Verdict::kOverrun);
}

TEST(ShardLedger, CreditShrinksAsTheQueueFillsButNeverStarvesAShard) {
  const ShardLedger ledger = Ledger();
  EXPECT_EQ(ledger.Credit(0.0), 1000U);
  EXPECT_EQ(ledger.Credit(0.5), 1000U);
  EXPECT_EQ(ledger.Credit(0.75), 500U);
  EXPECT_EQ(ledger.Credit(1.0), 100U);
  EXPECT_EQ(ledger.Credit(3.0), 100U);
}

TEST(FlushDelay, StaysAtTheBaseForASmallIdleFleetAndReachesTwoSecondsForALargeOne) {
  EXPECT_EQ(FlushDelayMs(2, 10, 0.0), 2U);
  EXPECT_EQ(FlushDelayMs(2, 1000, 0.0), 200U);
  EXPECT_EQ(FlushDelayMs(2, 20000, 0.0), 2000U);
  EXPECT_EQ(FlushDelayMs(2, 10, 1.0), 2000U);
}

TEST(Beats, AreAtMostTwoThousandASecondAndTheLeaseSpansThreeOfThem) {
  EXPECT_EQ(BeatIntervalMs(1), 400U);
  EXPECT_EQ(BeatIntervalMs(10000), 5000U);
  EXPECT_GE(LeaseMs(400), 1200U);
  EXPECT_LT(LeaseMs(400), 1500U) << "half a second is left of the two for the rest of a failover";
}

}  // namespace
}  // namespace fairlead::wire
