#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/kube/errors.h"
#include "lib/kube/watch_types.h"

namespace fairlead::kube {

struct WatchOptions {
  uint64_t seed = 1;  // of all jitter; differs from watch to watch
  base::BackoffOptions backoff;
  int least_timeout_seconds = 300;  // a watch is asked for a random time between these
  int most_timeout_seconds = 600;
  // What is refused is asked for again after half a second, then ever more rarely up to these;
  // jittered by a quarter.
  base::Duration forbidden_retry = base::seconds(30);
  base::Duration missing_retry = base::seconds(10);
  // That opened, but for those ended by a first 410 and those that brought ten changes; failures to
  // open follow `backoff`.
  int streams_per_minute = 4;
};

// Watches one collection (resource and "" or one namespace) of one API server and keeps a caller's
// view of it complete. Pure state machine: no sockets, no threads, no clock of its own.
//
// Guarantees: changes of one object come out in the server's order; a delete comes out only for a
//   DELETED event. seen_version() never goes back within one history(). A position is watched from
//   only after the server proved that it is of the same history: at Start, after a stream that was
//   lost or ended early, and after a 410. What cannot be proven becomes history + 1 and a snapshot.
//   PositionMoved comes out only while position_valid(). A refusal (403, 404,
//   429, 5xx, no answer) keeps position and rows.
// Assumes: the shell carries actions out in order, has at most one watch, one list and one check
//   open, and feeds each one's answer exactly once and in arrival order. An answer that nothing
//   asks for (any more) is ignored. Tick() is called at NextWake() or later.
// Bounds: 4 anchors, one continue token; at most `streams_per_minute` streams are opened in a
// minute
//   when the server ends them early.
// Caveat: resourceVersions of one resource are ordered as decimal numbers; another one allows
//   equality only, and doubt means a snapshot (KEP-5504).
// Tests: unit/lib/kube/watch_machine*_test.cc, watch_model_test.cc. Contract: Kubernetes "API
//   concepts" (efficient detection of changes, retrieving large results in chunks), KEP-956.
class WatchMachine {
 public:
  explicit WatchMachine(const WatchOptions& options);

  // Once. `resume` is where the endpoint says the watch left off; none = nothing was ever stored.
  // With `snapshot` a snapshot follows even when the position is proven (kRules, kAudit).
  [[nodiscard]] Actions Start(const std::optional<Position>& resume, base::Time now,
                              std::optional<SnapshotReason> snapshot = std::nullopt);
  // Closes what is open; nothing comes out any more.
  [[nodiscard]] Actions Stop();
  // Reads the whole list once more beside the open watch. Ignored unless state() is kWatching.
  [[nodiscard]] Actions Audit(base::Time now);

  // Answers of OpenProbe and OpenAnchorCheck. `found` is the list's only item, if it has one.
  [[nodiscard]] Actions OnProbe(std::string_view list_version, bool empty, base::Time now);
  [[nodiscard]] Actions OnAnchor(const std::optional<ObjectRef>& found, base::Time now);
  [[nodiscard]] Actions OnCheckFailed(const ApiError& error, base::Time now);

  [[nodiscard]] Actions OnSnapshotAdmitted(base::Time now);
  // Answers of OpenList: items, then OnListPage when the page was read to its end, or OnListFailed
  // at any point.
  [[nodiscard]] Actions OnListItem(const ObjectRef& item, base::Time now);
  [[nodiscard]] Actions OnListPage(std::string_view list_version, std::string_view continue_token,
                                   base::Time now);
  [[nodiscard]] Actions OnListFailed(const ApiError& error, base::Time now);
  // Answer of AwaitWants: every wanted body was sent.
  [[nodiscard]] Actions OnWantsDone(base::Time now);

  // Answers of OpenWatch: OnWatchOpened at status 200, then events, then one of the last two. After
  // an ERROR event the shell drops the stream and feeds OnWatchFailed(DecodeWatchError(object)).
  [[nodiscard]] Actions OnWatchOpened(base::Time now);
  [[nodiscard]] Actions OnEvent(EventType type, const ObjectRef& object, base::Time now);
  [[nodiscard]] Actions OnBookmark(std::string_view resource_version, base::Time now);
  [[nodiscard]] Actions OnWatchEnd(base::Time now);  // a proper end of the body
  [[nodiscard]] Actions OnWatchFailed(const ApiError& error, base::Time now);

  [[nodiscard]] Actions Tick(base::Time now);
  // base::Time::max() when only an answer can move the machine.
  [[nodiscard]] base::Time NextWake() const;

  [[nodiscard]] WatchState state() const { return state_; }
  [[nodiscard]] uint64_t history() const { return history_; }
  // Everything up to this version was emitted; "" before the first list's first page.
  [[nodiscard]] const std::string& seen_version() const { return seen_; }
  // Whether the view at seen_version() is complete, so that a watch may be resumed from there:
  // false from the first page of a list that began a new watch until the end of a snapshot.
  [[nodiscard]] bool position_valid() const { return complete_ && !list_.begun; }
  // Objects as they are at `version`; none unless that is seen_version().
  [[nodiscard]] std::vector<Anchor> AnchorsAt(std::string_view version) const;
  // Everything that happens comes: the view is complete and its watch open, whatever list is read
  // beside it.
  [[nodiscard]] bool live() const { return complete_ && watch_ == WatchPhase::kOpen; }
  // Between EmitSnapshotBegin and EmitSnapshotEnd or SnapshotAbandoned.
  [[nodiscard]] bool in_snapshot() const { return list_.begun; }
  // Events that came once more, older than what was seen, and were not emitted.
  [[nodiscard]] uint64_t repeated_events() const { return repeated_events_; }

 private:
  static constexpr base::Duration kFirstRefusedDelay = base::milliseconds(500);

  enum class WatchPhase {
    kNone,     // no position to watch from, or stopped
    kWaiting,  // until watch_wake_
    kProbe,
    kAnchor,
    kAnchorExact,
    kOpening,
    kOpen,
  };
  enum class ListPhase {
    kNone,
    kWaiting,  // until list_.wake, then asks for admission
    kAdmission,
    kPage,
    kPageAgain,  // until list_.wake, then the same page
    kWants,
    kHeld,  // wants are done; the end waits until the watch is out of doubt
  };
  struct List {
    ListPhase phase = ListPhase::kNone;
    SnapshotReason reason = SnapshotReason::kFirst;
    std::string token;          // of the page under way
    std::string floor;          // seen_ when the list was asked for
    std::string first_version;  // of its first page; "" before
    std::string last_version;
    std::vector<Anchor> anchors;  // its items, and what was live since it began
    bool begun = false;
    bool consistent = true;
    bool page_has_items = false;
    bool any_objects = false;     // in a page, or live since
    bool expired_before = false;  // the last answer was a 410 too
    base::Time wake = base::Time::max();
  };

  // Each appends to actions_.
  void BeginCheck();
  void CheckAnchor(bool exact);
  void Inconclusive();
  void Proven(base::Time now);
  void NotProven();
  void AskForSnapshot(SnapshotReason reason);
  void OpenWatchNow(base::Time now);
  void OpenPage(const std::string& token);
  void BeginSnapshot();
  void FinishSnapshot();
  void DropItems();
  // Nothing is open afterwards; a snapshot under way has no end.
  void CloseWatchLane();
  void CloseListLane();
  void RestartSnapshot(std::string_view why, base::Time now);
  void PageAgain(const ApiError& why, base::Time now);
  void PageExpired(const ApiError& error, base::Time now);
  void PageDone(std::string_view list_version, base::Time now);
  void Refused(const ApiError& error, base::Time now);
  void RetryWatch(const ApiError& why, base::Time now);
  void WatchExpired(const ApiError& error, bool was_open, base::Time now);
  void Progress();
  // The stream that is open does not count in streams_per_minute.
  void Forgive();
  void ReportState();
  Actions Take();

  [[nodiscard]] bool Checking() const;
  [[nodiscard]] bool InDoubt() const;
  [[nodiscard]] WatchState DerivedState() const;
  [[nodiscard]] base::Time RetryTime(const ApiError& why, base::Backoff* backoff, base::Time now);
  [[nodiscard]] base::Time EarliestOpen(base::Time wanted) const;
  [[nodiscard]] base::Duration Jittered(base::Duration about);
  static void Remember(const ObjectRef& object, bool at_position, std::vector<Anchor>* anchors);
  void Forget(const ObjectRef& object);

  WatchOptions options_;
  uint64_t random_;
  base::Backoff watch_backoff_;
  base::Backoff list_backoff_;

  Actions actions_;
  WatchState state_ = WatchState::kIdle;
  std::string detail_;  // why we wait
  std::string reported_detail_;
  std::optional<WatchState> refused_;  // kForbidden or kMissing
  base::Duration refused_delay_ = kFirstRefusedDelay;

  uint64_t history_ = 1;
  std::string seen_;
  bool fresh_ = true;            // this history has nothing to prove yet
  bool complete_ = false;        // every object of the view at seen_ was emitted
  bool known_empty_ = false;     // the view at seen_ has no objects
  std::vector<Anchor> anchors_;  // newest first

  WatchPhase watch_ = WatchPhase::kNone;
  base::Time watch_wake_ = base::Time::max();
  base::Time early_before_;         // a stream's end before this is early
  bool proven_ = false;             // seen_ may be watched from without a check
  bool expired_before_ = false;     // a 410, and nothing came since
  size_t anchor_ = 0;               // under check
  std::vector<base::Time> opened_;  // the last streams that opened and count
  bool counted_ = false;            // the last of them is the one that is open
  int stream_events_ = 0;
  uint64_t repeated_events_ = 0;
  std::optional<SnapshotReason> after_check_;  // a snapshot follows the check
  List list_;
};

}  // namespace fairlead::kube
