#include "operator/rollout/plan.h"

namespace fairlead::op::rollout {

namespace {

constexpr base::Duration kWatchRollout = base::seconds(2);

bool Arrived(const Target& target) {
  return target.installed_revision == target.wanted_revision && target.available &&
         target.reported_revision == target.wanted_revision && target.synced;
}

State StateOf(const Spec& spec, const Target& target, int64_t now_seconds) {
  if (target.awaiting_join) {
    return target.reported_revision.empty() ? State::kAwaitingJoin : State::kSucceeded;
  }
  if (!target.observed) return State::kUnreachable;
  if (Arrived(target)) return State::kSucceeded;
  if (target.target_revision != target.wanted_revision) return State::kPending;
  const int64_t deadline =
      std::chrono::duration_cast<base::seconds>(spec.progress_deadline).count();
  const bool late = target.started_seconds > 0 && now_seconds - target.started_seconds > deadline;
  return late ? State::kTimedOut : State::kProgressing;
}

}  // namespace

std::string_view StateName(State state) {
  switch (state) {
    case State::kPending:
      return "Pending";
    case State::kProgressing:
      return "Progressing";
    case State::kAwaitingJoin:
      return "AwaitingJoin";
    case State::kSucceeded:
      return "Succeeded";
    case State::kTimedOut:
      return "TimedOut";
    case State::kUnreachable:
      return "Unreachable";
  }
  return "Pending";
}

Plan MakePlan(const Spec& spec, const std::vector<Target>& targets, int64_t now_seconds) {
  Plan plan;
  bool moving = false;
  for (const Target& target : targets) {
    TargetPlan one;
    one.name = target.name;
    one.state = StateOf(spec, target, now_seconds);
    const bool pending = one.state == State::kPending;
    one.start = pending && target.ready && !spec.paused && !target.paused;
    one.hold = pending && !one.start;
    if (one.start) one.state = State::kProgressing;
    if (one.state == State::kAwaitingJoin) {
      ++plan.awaiting_join;
    } else {
      ++plan.desired;
    }
    if (one.state == State::kSucceeded) {
      ++plan.updated;
      ++plan.ready;
    } else if (one.state == State::kTimedOut) {
      ++plan.failed;
    }
    moving =
        moving || one.start || one.state == State::kProgressing || one.state == State::kTimedOut;
    plan.targets.push_back(std::move(one));
  }
  if (moving) plan.recheck = kWatchRollout;
  return plan;
}

}  // namespace fairlead::op::rollout
