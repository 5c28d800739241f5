#include "operator/runtime/controller.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

namespace fairlead::op {
namespace {

const Key kA{"space", "a"};
const Key kB{"space", "b"};

TEST(Controller, AKeyThatThrowsHurtsItselfOnlyAndIsCounted) {
  metrics::Registry metrics;
  std::promise<void> b_done;
  Controller controller(
      "test", 2,
      [&](const Key& key) -> ReconcileResult {
        if (key == kA) throw std::runtime_error("poison");
        b_done.set_value();
        return {};
      },
      &metrics);
  controller.Add(kA);
  controller.Add(kB);
  controller.Start();
  EXPECT_EQ(b_done.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  controller.Stop();
  EXPECT_GE(metrics
                .GetCounter("controller_runtime_reconcile_panics_total", "reconciles that threw",
                            {{"controller", "test"}})
                .Value(),
            1);
}

TEST(Controller, AKeyIsNeverWorkedOnTwiceAtATimeAndAddedMeanwhileRunsOnceMore) {
  metrics::Registry metrics;
  std::atomic<int> inside{0}, most{0}, runs{0};
  std::promise<void> second;
  Controller* self = nullptr;
  Controller controller(
      "test", 4,
      [&](const Key&) -> ReconcileResult {
        most = std::max<int>(most, ++inside);
        if (++runs == 1) {
          for (int i = 0; i < 10; ++i) self->Add(kA);
        } else {
          second.set_value();
        }
        --inside;
        return {};
      },
      &metrics);
  self = &controller;
  controller.Add(kA);
  controller.Start();
  EXPECT_EQ(second.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  controller.Stop();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(runs, 2);
}

// Another key, which fails at the same time, is the measure: by its third repetition, the first of
// a refused key would have been due long ago.
TEST(Controller, WhatOnlyAChangeCanMendIsCountedAndNotRepeated) {
  metrics::Registry metrics;
  std::atomic<int> refused_runs{0}, failed_runs{0};
  std::promise<void> done;
  Controller controller(
      "test", 1,
      [&](const Key& key) -> ReconcileResult {
        if (key == kA) {
          ++refused_runs;
          return {Outcome::kRefused, std::nullopt};
        }
        if (++failed_runs < 4) return {Outcome::kRetry, std::nullopt};
        done.set_value();
        return {};
      },
      &metrics);
  controller.Add(kA);
  controller.Add(kB);
  controller.Start();
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  controller.Stop();
  EXPECT_EQ(refused_runs, 1);
  EXPECT_EQ(failed_runs, 4);
  EXPECT_EQ(metrics
                .GetCounter("controller_runtime_terminal_reconcile_errors_total",
                            "reconciles that only a change of the object can mend",
                            {{"controller", "test"}})
                .Value(),
            1);
}

TEST(Controller, AKeyComesBackWhenItAskedTo) {
  metrics::Registry metrics;
  std::atomic<int> runs{0};
  std::promise<void> again;
  Controller controller(
      "test", 1,
      [&](const Key&) -> ReconcileResult {
        if (++runs == 2) again.set_value();
        if (runs >= 2) return {};
        return {Outcome::kDone, base::Duration(base::milliseconds(5))};
      },
      &metrics);
  controller.Add(kA);
  controller.Start();
  EXPECT_EQ(again.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  controller.Stop();
}

}  // namespace
}  // namespace fairlead::op
