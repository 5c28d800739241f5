#include "lib/kube/watch_types.h"

namespace fairlead::kube {

std::string_view SnapshotReasonName(SnapshotReason reason) {
  switch (reason) {
    case SnapshotReason::kFirst:
      return "First";
    case SnapshotReason::kExpired:
      return "Expired";
    case SnapshotReason::kRules:
      return "Rules";
    case SnapshotReason::kRestored:
      return "Restored";
    case SnapshotReason::kAudit:
      return "Audit";
  }
  return "First";
}

std::string_view WatchStateName(WatchState state) {
  switch (state) {
    case WatchState::kIdle:
      return "Backoff";
    case WatchState::kChecking:
      return "Checking";
    case WatchState::kAdmission:
      return "Admission";
    case WatchState::kListing:
      return "Listing";
    case WatchState::kWatching:
      return "Watching";
    case WatchState::kForbidden:
      return "Forbidden";
    case WatchState::kMissing:
      return "Missing";
  }
  return "Backoff";
}

}  // namespace fairlead::kube
