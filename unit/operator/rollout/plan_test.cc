#include "operator/rollout/plan.h"

#include <gtest/gtest.h>

namespace fairlead::op::rollout {
namespace {

Target Running(const std::string& revision) {
  Target target;
  target.name = "a";
  target.wanted_revision = "r2";
  target.target_revision = target.installed_revision = target.reported_revision = revision;
  target.observed = target.ready = target.available = target.synced = true;
  return target;
}

TEST(RolloutPlan, EveryReadyAccountOfAnOlderRevisionIsStartedAtOnce) {
  const Plan plan = MakePlan({}, {Running("r1"), Running("r1")}, 1000);
  EXPECT_TRUE(plan.targets[0].start);
  EXPECT_TRUE(plan.targets[1].start);
  EXPECT_EQ(plan.updated, 0);
  EXPECT_EQ(plan.recheck, base::seconds(2));
}

TEST(RolloutPlan, AnAccountThatRunsTheRevisionIsLeftAlone) {
  const Plan plan = MakePlan({}, {Running("r2")}, 1000);
  EXPECT_FALSE(plan.targets[0].start);
  EXPECT_EQ(plan.targets[0].state, State::kSucceeded);
  EXPECT_TRUE(plan.complete());
}

TEST(RolloutPlan, PausedStartsNothingAndHoldsWhatIsThere) {
  Spec spec;
  spec.paused = true;
  const Plan plan = MakePlan(spec, {Running("r1")}, 1000);
  EXPECT_FALSE(plan.targets[0].start);
  EXPECT_TRUE(plan.targets[0].hold);
  Target paused = Running("r1");
  paused.paused = true;
  EXPECT_FALSE(MakePlan({}, {paused}, 1000).targets[0].start);
}

TEST(RolloutPlan, AnAccountThatIsNotReadyWaits) {
  Target target = Running("r1");
  target.ready = false;
  const Plan plan = MakePlan({}, {target}, 1000);
  EXPECT_FALSE(plan.targets[0].start);
  EXPECT_EQ(plan.targets[0].state, State::kPending);
}

TEST(RolloutPlan, ItHasArrivedOnlyWhenTheNewAgentItselfReportsTheRevision) {
  Target target = Running("r2");
  target.reported_revision = "r1";  // the old pod still serves
  EXPECT_EQ(MakePlan({}, {target}, 1000).targets[0].state, State::kProgressing);
}

TEST(RolloutPlan, ADeadlineThatPassedCountsAsFailedOnceAndALateSuccessClearsIt) {
  Target target = Running("r2");
  target.synced = false;
  target.started_seconds = 1000;
  EXPECT_EQ(MakePlan({}, {target}, 1600).failed, 0);
  const Plan late = MakePlan({}, {target}, 1601);
  EXPECT_EQ(late.failed, 1);
  EXPECT_EQ(late.targets[0].state, State::kTimedOut);
  target.synced = true;
  EXPECT_EQ(MakePlan({}, {target}, 9999).failed, 0);
}

TEST(RolloutPlan, AClusterThatDoesNotAnswerIsNeitherStartedNorFailed) {
  Target target = Running("r1");
  target.observed = false;
  const Plan plan = MakePlan({}, {target}, 1000);
  EXPECT_FALSE(plan.targets[0].start);
  EXPECT_EQ(plan.targets[0].state, State::kUnreachable);
  EXPECT_EQ(plan.failed, 0);
}

TEST(RolloutPlan, AnAgentThatComesByItselfHoldsNothing) {
  Target target;
  target.name = "edge";
  target.awaiting_join = true;
  const Plan plan = MakePlan({}, {target, Running("r2")}, 1000);
  EXPECT_EQ(plan.awaiting_join, 1);
  EXPECT_EQ(plan.desired, 1);
  EXPECT_TRUE(plan.complete());
}

}  // namespace
}  // namespace fairlead::op::rollout
