#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/v1alpha1/types.h"

// Conditions as Kubernetes' API conventions and kstatus want them. Pure.
namespace fairlead::op {

inline constexpr char kReady[] = "Ready";
inline constexpr char kReconciling[] = "Reconciling";
inline constexpr char kStalled[] = "Stalled";
inline constexpr char kConnected[] = "Connected";
inline constexpr char kSynced[] = "Synced";
inline constexpr char kPaused[] = "Paused";
inline constexpr char kDeleting[] = "Deleting";

// The conditions of one object, as one visit finds them. lastTransitionTime moves only when status
// does; Reconciling and Stalled are never both True.
class ConditionSet {
 public:
  // `now` is RFC 3339, for conditions whose status changed.
  ConditionSet(std::vector<api::Condition> before, int64_t generation, std::string now);

  void Set(std::string_view type, std::string_view status, std::string_view reason,
           std::string_view message);
  void Remove(std::string_view type);
  // Ready, Reconciling and Stalled in one: work is done.
  void SetReady(std::string_view reason, std::string_view message);
  // Work goes on by itself: Ready=False, Reconciling=True.
  void SetProgressing(std::string_view reason, std::string_view message);
  // A person has to act: Ready=False, Stalled=True.
  void SetStalled(std::string_view reason, std::string_view message);

  [[nodiscard]] const api::Condition* Find(std::string_view type) const;
  [[nodiscard]] bool IsTrue(std::string_view type) const;
  // Before this visit.
  [[nodiscard]] bool WasKnown(std::string_view type) const;
  // Sorted by type.
  [[nodiscard]] const std::vector<api::Condition>& all() const { return conditions_; }
  // Those whose status or reason differ from before: what an Event is worth.
  [[nodiscard]] std::vector<api::Condition> Transitions() const;

 private:
  std::vector<api::Condition> before_;
  std::vector<api::Condition> conditions_;
  int64_t generation_;
  std::string now_;
};

}  // namespace fairlead::op
