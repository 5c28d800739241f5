#include "operator/model/conditions.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::op {

namespace {

constexpr size_t kMaxMessage = 1024;

template <typename Conditions>
auto FindIn(Conditions& conditions, std::string_view type) {
  return std::find_if(conditions.begin(), conditions.end(),
                      [&](const api::Condition& one) { return one.type == type; });
}

}  // namespace

ConditionSet::ConditionSet(std::vector<api::Condition> before, int64_t generation, std::string now)
    : before_(std::move(before)),
      conditions_(before_),
      generation_(generation),
      now_(std::move(now)) {}

void ConditionSet::Set(std::string_view type, std::string_view status, std::string_view reason,
                       std::string_view message) {
  api::Condition next;
  next.type = std::string(type);
  next.status = std::string(status);
  next.reason = std::string(reason);
  next.message = base::Clipped(message, kMaxMessage);
  next.observed_generation = generation_;
  next.last_transition_time = now_;
  // Compared with what the visit found, so that setting twice in one visit moves no time.
  const auto old = FindIn(before_, type);
  if (old != before_.end() && old->status == next.status) {
    next.last_transition_time = old->last_transition_time;
  }
  const auto found = FindIn(conditions_, type);
  if (found != conditions_.end()) {
    *found = std::move(next);
    return;
  }
  conditions_.push_back(std::move(next));
  std::sort(conditions_.begin(), conditions_.end(),
            [](const auto& a, const auto& b) { return a.type < b.type; });
}

void ConditionSet::Remove(std::string_view type) {
  std::erase_if(conditions_, [&](const api::Condition& one) { return one.type == type; });
}

void ConditionSet::SetReady(std::string_view reason, std::string_view message) {
  Set(kReady, "True", reason, message);
  Set(kReconciling, "False", reason, "");
  Set(kStalled, "False", reason, "");
}

void ConditionSet::SetProgressing(std::string_view reason, std::string_view message) {
  Set(kReady, "False", reason, message);
  Set(kReconciling, "True", reason, message);
  Set(kStalled, "False", reason, "");
}

void ConditionSet::SetStalled(std::string_view reason, std::string_view message) {
  Set(kReady, "False", reason, message);
  Set(kReconciling, "False", reason, "");
  Set(kStalled, "True", reason, message);
}

const api::Condition* ConditionSet::Find(std::string_view type) const {
  const auto found = FindIn(conditions_, type);
  return found == conditions_.end() ? nullptr : &*found;
}

bool ConditionSet::IsTrue(std::string_view type) const {
  const api::Condition* found = Find(type);
  return found != nullptr && found->status == "True";
}

bool ConditionSet::WasKnown(std::string_view type) const {
  return FindIn(before_, type) != before_.end();
}

std::vector<api::Condition> ConditionSet::Transitions() const {
  std::vector<api::Condition> out;
  for (const api::Condition& one : conditions_) {
    const auto old = FindIn(before_, one.type);
    if (old == before_.end() || old->status != one.status || old->reason != one.reason) {
      out.push_back(one);
    }
  }
  return out;
}

}  // namespace fairlead::op
