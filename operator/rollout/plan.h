#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/clock.h"

// Decides which accounts get the new revision next. Pure: no clock, no I/O; all it needs to know
// lives in the API, so that a new leader goes on where the last one stopped.
namespace fairlead::op::rollout {

enum class Type { kAllAtOnce };

struct Spec {
  Type type = Type::kAllAtOnce;
  bool paused = false;
  base::Duration progress_deadline = base::seconds(600);
};

// One account, as its status, its cluster and its agent's session show it.
struct Target {
  std::string name;
  std::string wanted_revision;     // what the current spec renders for it
  std::string target_revision;     // persisted: what was started last; "" = nothing ever
  std::string installed_revision;  // in its cluster; "" = nothing there, or not known
  std::string reported_revision;   // of the agent that serves the account; "" = none connected
  int64_t started_seconds = 0;     // when target_revision was started (Unix); 0 = unknown
  bool observed = false;           // its cluster answered in this visit
  bool awaiting_join = false;      // nothing can be installed from here (dialIn)
  bool paused = false;
  bool ready = false;      // the account itself is usable
  bool available = false;  // the new pods are
  bool synced = false;     // Connected and Synced at the endpoint
};

enum class State {
  kPending,       // waits for a start
  kProgressing,   // started, not there yet
  kAwaitingJoin,  // its agent is installed by other means and was not seen yet
  kSucceeded,
  kTimedOut,     // not there when the deadline passed; may still come
  kUnreachable,  // its cluster does not answer; catches up later
};
std::string_view StateName(State state);  // as in status.agent.state

struct TargetPlan {
  std::string name;
  bool start = false;  // persist wanted_revision as target, then install
  bool hold = false;   // keep what is there: correct drift of the target revision only
  State state = State::kPending;
};

struct Plan {
  std::vector<TargetPlan> targets;  // in the order given
  int desired = 0;                  // awaiting ones are not counted
  int updated = 0;
  int ready = 0;
  int awaiting_join = 0;
  int failed = 0;
  // Look again after this much time, at the latest.
  base::Duration recheck = base::minutes(10);
  [[nodiscard]] bool complete() const { return updated == desired && ready == desired; }
};

// `now_seconds` is Unix time: persisted start times come from other processes. They are compared
// with a deadline of minutes only.
Plan MakePlan(const Spec& spec, const std::vector<Target>& targets, int64_t now_seconds);

}  // namespace fairlead::op::rollout
