#pragma once

// Reasons of Events that no condition has; a condition's change is told with its own reason
// (reasons.h). docs/reference/events.md explains each and is compared with this file by a test.
namespace fairlead::op {

inline constexpr char kEventRolloutStarted[] = "RolloutStarted";
inline constexpr char kEventRolloutFinished[] = "RolloutFinished";
inline constexpr char kEventDriftCorrected[] = "DriftCorrected";
inline constexpr char kEventAgentAbandoned[] = "AgentAbandoned";

}  // namespace fairlead::op
