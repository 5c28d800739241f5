#include "operator/runtime/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/backoff.h"

namespace fairlead::op {
namespace {

using base::milliseconds;
using base::minutes;
using base::seconds;

const base::Time t0{base::hours(1)};
const Key kA{"ns", "a"};
const Key kB{"ns", "b"};

TEST(WorkQueue, AKeyIsQueuedOnceHoweverOftenItIsAdded) {
  WorkQueue queue({});
  queue.Add(kA);
  queue.Add(kA);
  EXPECT_EQ(queue.Take(t0), kA);
  EXPECT_EQ(queue.Take(t0), std::nullopt);
}

TEST(WorkQueue, AKeyAddedWhileUnderWayRunsOnceMoreAfterDone) {
  WorkQueue queue({});
  queue.Add(kA);
  queue.Take(t0);
  queue.Add(kA);
  queue.Add(kA);
  EXPECT_EQ(queue.Take(t0), std::nullopt) << "never twice at a time";
  queue.Done(kA, Outcome::kDone, std::nullopt, t0);
  EXPECT_EQ(queue.Take(t0), kA);
  queue.Done(kA, Outcome::kDone, std::nullopt, t0);
  EXPECT_EQ(queue.Take(t0), std::nullopt);
}

TEST(WorkQueue, TheEarliestDelayCounts) {
  WorkQueue queue({});
  queue.AddAfter(kA, base::hours(1), t0);
  queue.AddAfter(kA, seconds(1), t0);
  queue.AddAfter(kA, base::hours(1), t0);
  EXPECT_EQ(queue.NextWake(), t0 + seconds(1));
  EXPECT_EQ(queue.Take(t0 + milliseconds(999)), std::nullopt);
  EXPECT_EQ(queue.Take(t0 + seconds(1)), kA);
  queue.Done(kA, Outcome::kDone, std::nullopt, t0 + seconds(1));
  EXPECT_EQ(queue.Take(t0 + base::hours(2)), std::nullopt) << "once";
}

TEST(WorkQueue, FailuresBackOffAndSuccessForgetsThem) {
  WorkQueue queue({.first_backoff = milliseconds(100), .most_backoff = seconds(10)});
  base::Time now = t0;
  base::Duration last{};
  queue.Add(kA);
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(queue.Take(now), kA);
    queue.Done(kA, Outcome::kRetry, std::nullopt, now);
    last = *queue.NextWake() - now;
    const base::Duration ceiling =
        std::min<base::Duration>(seconds(10), milliseconds(100) * (int64_t{1} << std::min(i, 20)));
    EXPECT_LE(last, ceiling);
    EXPECT_GE(last, ceiling / 2) << "failure " << i;
    now = *queue.NextWake();
  }
  EXPECT_EQ(queue.failures(kA), 40);
  ASSERT_EQ(queue.Take(now), kA);
  queue.Done(kA, Outcome::kDone, std::nullopt, now);
  EXPECT_EQ(queue.failures(kA), 0);
  queue.Add(kA);
  queue.Take(now);
  queue.Done(kA, Outcome::kRetry, std::nullopt, now);
  EXPECT_LE(*queue.NextWake() - now, milliseconds(100));
}

TEST(WorkQueue, RetriesOfAllKeysTogetherAreSlowedToTheBucket) {
  WorkQueue queue({.first_backoff = milliseconds(1),
                   .most_backoff = milliseconds(1),
                   .retry_burst = 10,
                   .retries_per_second = 10});
  for (int i = 0; i < 110; ++i) {
    const Key key{"ns", std::to_string(i)};
    queue.Add(key);
    queue.Take(t0);
    queue.Done(key, Outcome::kRetry, std::nullopt, t0);
  }
  int in_one_second = 0;
  while (queue.Take(t0 + seconds(1))) ++in_one_second;
  EXPECT_GE(in_one_second, 19);
  EXPECT_LE(in_one_second, 21);
}

TEST(WorkQueue, AgainAfterComesBackWithoutCountingAsAFailure) {
  WorkQueue queue({});
  queue.Add(kA);
  queue.Take(t0);
  queue.Done(kA, Outcome::kDone, minutes(10), t0);
  EXPECT_EQ(queue.failures(kA), 0);
  EXPECT_EQ(queue.NextWake(), t0 + minutes(10));
}

TEST(WorkQueue, ANamespaceWithManyKeysDoesNotHoldUpAnother) {
  WorkQueue queue({});
  for (int i = 0; i < 1000; ++i) queue.Add({"busy", std::to_string(i)});
  queue.Add({"quiet", "one"});
  int turns = 0;
  while (queue.Take(t0)->name_space != "quiet") ++turns;
  EXPECT_LE(turns, 1);
}

TEST(WorkQueue, UserEditsGoBeforeTheInitialListAndDoNotStarveIt) {
  WorkQueue queue({});
  for (int i = 0; i < 100; ++i)
    queue.Add({"ns", "initial-" + std::to_string(i)}, Urgency::kBackground);
  queue.Add({"ns", "initial-50"}, Urgency::kUser);
  EXPECT_EQ(queue.Take(t0)->name, "initial-50");
  int background = 0;
  for (int i = 0; i < 80; ++i) {
    queue.Add({"ns", "edit-" + std::to_string(i)});
    queue.Add({"ns", "more-" + std::to_string(i)});
    background += queue.Take(t0)->name.starts_with("initial") ? 1 : 0;
  }
  EXPECT_EQ(background, 10);
}

// Random operations against the rules themselves.
TEST(WorkQueue, HoldsItsRulesUnderRandomUse) {
  WorkQueue queue({});
  uint64_t random = 7;
  base::Time now = t0;
  std::vector<Key> keys;
  for (int i = 0; i < 10; ++i) keys.push_back({"ns" + std::to_string(i % 3), std::to_string(i)});
  std::map<Key, uint64_t> added;    // sequence of the last Add
  std::map<Key, uint64_t> started;  // sequence of the last Take
  std::vector<Key> running;
  for (uint64_t step = 1; step < 200000; ++step) {
    now += milliseconds(base::NextRandom(&random) % 3);
    const Key& key = keys[base::NextRandom(&random) % keys.size()];
    switch (base::NextRandom(&random) % 3) {
      case 0:
        queue.Add(key);
        added[key] = step;
        break;
      case 1:
        if (const auto taken = queue.Take(now)) {
          ASSERT_EQ(std::count(running.begin(), running.end(), *taken), 0);
          running.push_back(*taken);
          started[*taken] = step;
        }
        break;
      default:
        if (running.empty()) break;
        queue.Done(running.back(), Outcome::kDone, std::nullopt, now);
        running.pop_back();
    }
  }
  while (!running.empty()) {
    queue.Done(running.back(), Outcome::kDone, std::nullopt, now);
    running.pop_back();
  }
  while (const auto taken = queue.Take(now)) {
    started[*taken] = UINT64_MAX;
    queue.Done(*taken, Outcome::kDone, std::nullopt, now);
  }
  for (const Key& key : keys) EXPECT_GT(started[key], added[key]) << key.name;
}

}  // namespace
}  // namespace fairlead::op
