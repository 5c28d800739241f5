#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/clock.h"
#include "lib/kube/errors.h"

// What goes into and comes out of a WatchMachine.
namespace fairlead::kube {

// One object as it was at one version; proof that a server's history is the one we know.
struct Anchor {
  std::string name_space;
  std::string name;
  std::string uid;
  std::string resource_version;
  // It was so up to the position that it belongs to; else it was once so.
  bool at_position = false;
};

// Where a watch left off, as granted by the endpoint.
struct Position {
  uint64_t history = 1;
  std::string resource_version;  // "" when only rows are known: a snapshot follows
  std::vector<Anchor> anchors;   // surviving upserts
  uint64_t count = 0;            // rows of this kind and watch that are not held
};

enum class SnapshotReason { kFirst, kExpired, kRules, kRestored, kAudit };
std::string_view SnapshotReasonName(SnapshotReason reason);  // as on the wire

enum class WatchState {
  kIdle,       // nothing in flight: not started, or waiting to try again (detail says why)
  kChecking,   // proving that the server's history is the one of our position
  kAdmission,  // waiting for the endpoint to admit a snapshot
  kListing,    // a snapshot is under way; live events flow beside it
  kWatching,   // stream open, position moves
  kForbidden,  // the server said 403: rows are kept, asked again slowly
  kMissing,    // 404: the server does not know the resource (now); rows are kept
};
std::string_view WatchStateName(WatchState state);

enum class EventType { kAdded, kModified, kDeleted };

// Views end with the call that takes them.
struct ObjectRef {
  std::string_view name_space;
  std::string_view name;
  std::string_view uid;
  std::string_view resource_version;
};

// ---- Actions. The shell carries them out in order.

// Ask the endpoint to admit a snapshot; OnSnapshotAdmitted answers.
struct RequestAdmission {
  SnapshotReason reason;
};
// LIST limit=1, resourceVersion unset (quorum): OnProbe or OnCheckFailed answers.
struct OpenProbe {};
// LIST in the anchor's namespace, fieldSelector metadata.name, limit=1: quorum, or with
// resourceVersion=`exact_version` and resourceVersionMatch=Exact. OnAnchor or OnCheckFailed
// answers.
struct OpenAnchorCheck {
  Anchor anchor;
  std::string exact_version;  // "" = quorum
};
// LIST limit=500 with resourceVersion unset (quorum); `continue_token` verbatim when not empty.
struct OpenList {
  std::string continue_token;
};
struct OpenWatch {
  std::string resource_version;
  int timeout_seconds = 0;  // allowWatchBookmarks=true
};
// Cancel the request; nothing of it may be fed any more.
struct CloseWatch {};
struct CloseList {};
struct CloseCheck {};
// The object just fed by OnEvent is a change of history().
struct EmitChange {
  EventType type;
};
struct EmitSnapshotBegin {
  SnapshotReason reason;
};
// The object just fed by OnListItem belongs to the snapshot.
struct EmitSnapshotItem {};
// The items since the last page boundary will come once more: forget them.
struct DropPage {};
struct EmitSnapshotPage {};
// All pages are emitted; answer with OnWantsDone when every wanted body was sent.
struct AwaitWants {};
// Ends the snapshot. `consistent` is false when the list changed its version midway (an expired
// continue token): each absent key was still absent from a quorum read after the watch began, so
// the end may delete, but count and sum belong to no one version and prove nothing.
struct EmitSnapshotEnd {
  // Of the list's first page. What is absent was absent then or later, so a tombstone, or a
  // position, may not say more: of a list that is not consistent, what was created before its last
  // page may still be on its way.
  std::string resource_version;
  bool consistent = true;
};
// The snapshot begun last has no end; a new one follows.
struct SnapshotAbandoned {};
// seen_version() moved without a change (bookmark, end of a snapshot).
struct PositionMoved {};
struct StateChanged {
  WatchState state;
  std::string detail;  // safe to print; "" when all is well
};

using Action = std::variant<RequestAdmission, OpenProbe, OpenAnchorCheck, OpenList, OpenWatch,
                            CloseWatch, CloseList, CloseCheck, EmitChange, EmitSnapshotBegin,
                            EmitSnapshotItem, DropPage, EmitSnapshotPage, AwaitWants,
                            EmitSnapshotEnd, SnapshotAbandoned, PositionMoved, StateChanged>;
using Actions = std::vector<Action>;

}  // namespace fairlead::kube
