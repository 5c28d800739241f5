#include "operator/runtime/lease_machine.h"

#include <gtest/gtest.h>

#include <map>

#include "lib/base/backoff.h"

namespace fairlead::op {
namespace {

using base::milliseconds;
using base::seconds;

const base::Time t0{base::hours(1)};

template <typename T>
const T* Find(const LeaseMachine::Actions& actions) {
  for (const auto& action : actions) {
    if (const T* found = std::get_if<T>(&action)) return found;
  }
  return nullptr;
}

LeaseRecord HeldBy(const std::string& holder, const std::string& version) {
  LeaseRecord record;
  record.holder = holder;
  record.duration_seconds = 15;
  record.resource_version = version;
  return record;
}

class LeaseMachineTest : public ::testing::Test {
 protected:
  LeaseMachineTest() : machine_({.identity = "me"}, 3) {}

  // Acquires a Lease that does not exist, at `now`.
  void BecomeLeader(base::Time now) {
    ASSERT_TRUE(Find<LeaseMachine::Read>(machine_.Tick(now, "w")));
    const auto actions = machine_.OnRead(std::nullopt, now, "w");
    const auto* write = Find<LeaseMachine::Write>(actions);
    ASSERT_TRUE(write);
    LeaseRecord record = write->record;
    record.resource_version = "1";
    ASSERT_TRUE(Find<LeaseMachine::Lead>(machine_.OnWritten(record, now)));
  }
  LeaseMachine machine_;
};

TEST_F(LeaseMachineTest, AFreeLeaseIsTaken) {
  BecomeLeader(t0);
  EXPECT_TRUE(machine_.MayWrite(t0));
  EXPECT_EQ(machine_.holder(), "me");
}

TEST_F(LeaseMachineTest, AHeldLeaseIsTakenOnlyWhenItStoppedChangingForItsDurationInLocalTime) {
  base::Time now = t0;
  int version = 1;
  for (; now < t0 + seconds(60); now = machine_.NextWake()) {
    if (Find<LeaseMachine::Read>(machine_.Tick(now, "w"))) {
      EXPECT_TRUE(machine_.OnRead(HeldBy("other", std::to_string(++version)), now, "w").empty());
    }
  }
  const LeaseRecord last = HeldBy("other", std::to_string(version));
  const base::Time seen = now;
  base::Time took{};
  for (; took == base::Time{} && now < seen + seconds(60); now = machine_.NextWake()) {
    if (!Find<LeaseMachine::Read>(machine_.Tick(now, "w"))) continue;
    const auto actions = machine_.OnRead(last, now, "w");
    if (const auto* write = Find<LeaseMachine::Write>(actions)) {
      took = now;
      EXPECT_EQ(write->record.transitions, 1);
    }
  }
  EXPECT_GE(took - seen, seconds(12));
  EXPECT_LE(took - seen, seconds(18));
}

TEST_F(LeaseMachineTest, LosesTenSecondsAfterItsLastRenewalWasSent) {
  BecomeLeader(t0);
  base::Time now = machine_.NextWake();
  EXPECT_TRUE(Find<LeaseMachine::Write>(machine_.Tick(now, "w")));  // never answered
  EXPECT_TRUE(machine_.MayWrite(t0 + milliseconds(9999)));
  EXPECT_FALSE(machine_.MayWrite(t0 + seconds(10)));
  now = machine_.NextWake();
  EXPECT_LE(now, t0 + seconds(10));
  EXPECT_TRUE(Find<LeaseMachine::Lost>(machine_.Tick(t0 + seconds(10), "w")));
  EXPECT_FALSE(machine_.leading());
}

TEST_F(LeaseMachineTest, OneSlowRenewalIsNoLossAndCountsFromWhenItWasSent) {
  BecomeLeader(t0);
  const base::Time sent = machine_.NextWake();
  const auto actions = machine_.Tick(sent, "w");
  const auto* write = Find<LeaseMachine::Write>(actions);
  ASSERT_TRUE(write);
  EXPECT_TRUE(machine_.Tick(sent + seconds(6), "w").empty());
  EXPECT_TRUE(machine_.OnWritten(write->record, sent + seconds(6)).empty());
  EXPECT_TRUE(machine_.MayWrite(sent + seconds(9)));
  EXPECT_FALSE(machine_.MayWrite(sent + seconds(10)));
}

TEST_F(LeaseMachineTest, AFailedRenewalIsReadBeforeItIsTriedAgain) {
  BecomeLeader(t0);
  base::Time now = machine_.NextWake();
  ASSERT_TRUE(Find<LeaseMachine::Write>(machine_.Tick(now, "w")));
  EXPECT_TRUE(machine_.OnFailed(absl::UnavailableError("reset"), now).empty());
  now = machine_.NextWake();
  ASSERT_TRUE(Find<LeaseMachine::Read>(machine_.Tick(now, "w")));
  EXPECT_TRUE(Find<LeaseMachine::Write>(machine_.OnRead(HeldBy("me", "2"), now, "w")));
}

TEST_F(LeaseMachineTest, SeeingAnotherHolderIsALoss) {
  BecomeLeader(t0);
  const base::Time now = machine_.NextWake();
  ASSERT_TRUE(Find<LeaseMachine::Write>(machine_.Tick(now, "w")));
  EXPECT_TRUE(machine_.OnFailed(absl::AbortedError("conflict"), now).empty());
  ASSERT_TRUE(Find<LeaseMachine::Read>(machine_.Tick(machine_.NextWake(), "w")));
  EXPECT_TRUE(
      Find<LeaseMachine::Lost>(machine_.OnRead(HeldBy("other", "9"), now + seconds(1), "w")));
  EXPECT_FALSE(machine_.MayWrite(now));
}

TEST_F(LeaseMachineTest, ReleaseEmptiesTheHolderAndEndsWriting) {
  BecomeLeader(t0);
  const auto write = machine_.Release("w");
  ASSERT_TRUE(write);
  EXPECT_EQ(write->record.holder, "");
  EXPECT_EQ(write->record.resource_version, "1");
  EXPECT_FALSE(machine_.MayWrite(t0));
}

// Two processes over one Lease with random delays, failures and stalls: never two writers.
TEST(LeaseMachineModel, NeverTwoMayWriteAtOnce) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    uint64_t random = seed;
    const auto pick = [&](uint64_t n) { return base::NextRandom(&random) % n; };
    LeaseMachine machines[2] = {LeaseMachine({.identity = "a"}, seed),
                                LeaseMachine({.identity = "b"}, seed + 1)};
    LeaseRecord stored;
    int version = 0;
    struct Pending {
      int who;
      LeaseMachine::Action request;
    };
    std::multimap<base::Time, Pending> server;  // when the request is carried out
    std::multimap<base::Time, std::pair<int, std::function<LeaseMachine::Actions(base::Time)>>>
        answers;
    base::Time now = t0;
    int leads = 0;
    const auto take = [&](int who, const LeaseMachine::Actions& actions) {
      for (const auto& action : actions) {
        if (std::holds_alternative<LeaseMachine::Lead>(action)) ++leads;
        if (std::holds_alternative<LeaseMachine::Lost>(action))
          machines[who] = LeaseMachine({.identity = who == 0 ? "a" : "b"}, pick(1000));
        if (std::holds_alternative<LeaseMachine::Read>(action) ||
            std::holds_alternative<LeaseMachine::Write>(action)) {
          server.emplace(now + milliseconds(pick(10) == 0 ? pick(12000) : pick(50)),
                         Pending{who, action});
        }
      }
    };
    for (int step = 0; step < 3000; ++step) {
      now += milliseconds(1 + pick(100));
      while (!server.empty() && server.begin()->first <= now) {
        const Pending pending = server.extract(server.begin()).mapped();
        const base::Time back = now + milliseconds(pick(10) == 0 ? pick(12000) : pick(50));
        const bool drop = pick(15) == 0;
        LeaseMachine& machine = machines[pending.who];
        if (const auto* write = std::get_if<LeaseMachine::Write>(&pending.request)) {
          const bool fits = write->record.resource_version == stored.resource_version;
          if (fits) {
            stored = write->record;
            stored.resource_version = std::to_string(++version);
          }
          const LeaseRecord result = stored;
          answers.emplace(back,
                          std::pair(pending.who, [&machine, fits, drop, result](base::Time at) {
                            if (drop) return machine.OnFailed(absl::UnavailableError("lost"), at);
                            return fits ? machine.OnWritten(result, at)
                                        : machine.OnFailed(absl::AbortedError("conflict"), at);
                          }));
        } else {
          const std::optional<LeaseRecord> read =
              version == 0 ? std::nullopt : std::optional(stored);
          answers.emplace(back, std::pair(pending.who, [&machine, read, drop](base::Time at) {
                            return drop ? machine.OnFailed(absl::UnavailableError("lost"), at)
                                        : machine.OnRead(read, at, "w");
                          }));
        }
      }
      while (!answers.empty() && answers.begin()->first <= now) {
        const auto answer = answers.extract(answers.begin()).mapped();
        take(answer.first, answer.second(now));
      }
      for (int who = 0; who < 2; ++who) {
        if (pick(200) == 0) continue;  // a stall
        if (now >= machines[who].NextWake()) take(who, machines[who].Tick(now, "w"));
      }
      ASSERT_FALSE(machines[0].MayWrite(now) && machines[1].MayWrite(now))
          << "seed " << seed << " step " << step;
    }
    EXPECT_GT(leads, 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace fairlead::op
