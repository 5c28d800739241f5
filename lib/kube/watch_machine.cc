#include "lib/kube/watch_machine.h"

#include <algorithm>
#include <utility>

#include "lib/base/resource_version.h"
#include "lib/kube/watch_answers.h"

namespace fairlead::kube {

namespace {

constexpr size_t kAnchors = 4;
constexpr int kEventsWorthAStream = 10;
// What a server may take longer than it was asked for before its stream counts as dead.
constexpr base::Duration kGrace = base::seconds(60);

bool SameName(const Anchor& anchor, const ObjectRef& object) {
  return anchor.name == object.name && anchor.name_space == object.name_space;
}

}  // namespace

WatchMachine::WatchMachine(const WatchOptions& options)
    : options_(options),
      random_(options.seed),
      watch_backoff_(options.backoff, base::NextRandom(&random_)),
      list_backoff_(options.backoff, base::NextRandom(&random_)) {}

Actions WatchMachine::Start(const std::optional<Position>& resume, base::Time now,
                            std::optional<SnapshotReason> snapshot) {
  if (!resume) {
    // Asked before admission, so that what is forbidden here never waits in line there.
    after_check_ = snapshot.value_or(SnapshotReason::kFirst);
    BeginCheck();
    return Take();
  }
  fresh_ = false;
  complete_ = !resume->resource_version.empty();
  history_ = resume->history;
  seen_ = resume->resource_version;
  for (const Anchor& anchor : resume->anchors) {
    Remember({anchor.name_space, anchor.name, anchor.uid, anchor.resource_version},
             anchor.at_position, &anchors_);
  }
  after_check_ = snapshot;
  // Without a version an empty list proves nothing: what was deleted may be of another history.
  known_empty_ = resume->count == 0 && resume->anchors.empty();
  early_before_ = now;
  BeginCheck();
  return Take();
}

Actions WatchMachine::Stop() {
  CloseWatchLane();
  if (list_.phase == ListPhase::kPage) actions_.push_back(CloseList{});
  list_ = List{};
  refused_.reset();
  state_ = WatchState::kIdle;
  detail_.clear();
  reported_detail_.clear();
  return std::exchange(actions_, {});
}

Actions WatchMachine::Audit(base::Time /*now*/) {
  if (watch_ != WatchPhase::kOpen || list_.phase != ListPhase::kNone) return {};
  AskForSnapshot(SnapshotReason::kAudit);
  return Take();
}

// ---- The check of a position's history.

bool WatchMachine::Checking() const {
  return watch_ == WatchPhase::kProbe || watch_ == WatchPhase::kAnchor ||
         watch_ == WatchPhase::kAnchorExact;
}

bool WatchMachine::InDoubt() const {
  return Checking() || (watch_ == WatchPhase::kWaiting && !proven_);
}

void WatchMachine::BeginCheck() {
  watch_ = WatchPhase::kProbe;
  proven_ = false;
  anchor_ = 0;
  actions_.push_back(OpenProbe{});
}

Actions WatchMachine::OnProbe(std::string_view list_version, bool empty, base::Time now) {
  if (watch_ != WatchPhase::kProbe) return {};
  refused_.reset();
  if (list_version.empty()) {
    RetryWatch(Malformed("a list without a resourceVersion"), now);
  } else if (fresh_) {
    Proven(now);
  } else if (seen_.empty()) {
    // Rows without a position may be newer than what one object that still matches tells.
    NotProven();
  } else if (!base::CompareResourceVersions(list_version, seen_) && list_version != seen_) {
    NotProven();
  } else if (Older(list_version, seen_)) {
    NotProven();
  } else if (anchors_.empty()) {
    if (known_empty_ && empty) {
      Proven(now);
    } else {
      NotProven();
    }
  } else {
    CheckAnchor(/*exact=*/false);
  }
  return Take();
}

void WatchMachine::CheckAnchor(bool exact) {
  watch_ = exact ? WatchPhase::kAnchorExact : WatchPhase::kAnchor;
  // Where the watch goes on tells most: a server that has not even that version cannot be watched
  // from it either.
  const Anchor& anchor = anchors_[anchor_];
  const std::string& version = anchor.at_position ? seen_ : anchor.resource_version;
  actions_.push_back(OpenAnchorCheck{anchor, exact ? version : ""});
}

Actions WatchMachine::OnAnchor(const std::optional<ObjectRef>& found, base::Time now) {
  if (watch_ != WatchPhase::kAnchor && watch_ != WatchPhase::kAnchorExact) return {};
  Anchor& anchor = anchors_[anchor_];
  if (found && SameName(anchor, *found) && found->uid == anchor.uid &&
      found->resource_version == anchor.resource_version) {
    if (watch_ == WatchPhase::kAnchor) anchor.at_position = true;  // it is so even now
    Proven(now);
  } else if (watch_ == WatchPhase::kAnchor) {
    CheckAnchor(/*exact=*/true);  // changed since, or never there
  } else {
    NotProven();  // at that version this history holds something else
  }
  return Take();
}

Actions WatchMachine::OnCheckFailed(const ApiError& error, base::Time now) {
  if (!Checking()) return {};
  if (IsRefusal(error)) {
    watch_ = WatchPhase::kNone;
    Refused(error, now);
  } else if (watch_ != WatchPhase::kProbe && AnswersNothing(error)) {
    Inconclusive();
  } else {
    RetryWatch(error, now);
  }
  return Take();
}

void WatchMachine::Inconclusive() {
  if (watch_ == WatchPhase::kAnchor) {
    CheckAnchor(/*exact=*/true);
  } else if (++anchor_ < anchors_.size()) {
    CheckAnchor(/*exact=*/false);
  } else {
    NotProven();
  }
}

void WatchMachine::Proven(base::Time now) {
  proven_ = true;
  if (!after_check_) return OpenWatchNow(now);
  watch_ = WatchPhase::kNone;
  AskForSnapshot(*std::exchange(after_check_, std::nullopt));
}

void WatchMachine::NotProven() {
  watch_ = WatchPhase::kNone;
  watch_wake_ = base::Time::max();
  CloseListLane();
  const bool knew_version = !seen_.empty();
  ++history_;
  seen_.clear();
  anchors_.clear();
  known_empty_ = false;
  complete_ = false;
  proven_ = false;
  fresh_ = true;
  after_check_.reset();
  AskForSnapshot(knew_version ? SnapshotReason::kRestored : SnapshotReason::kFirst);
}

// ---- The watch.

void WatchMachine::OpenWatchNow(base::Time now) {
  const base::Time earliest = EarliestOpen(now);
  if (earliest > now) {
    watch_ = WatchPhase::kWaiting;
    watch_wake_ = earliest;
  } else {
    const int spread = options_.most_timeout_seconds - options_.least_timeout_seconds + 1;
    const auto extra = base::NextRandom(&random_) % static_cast<uint64_t>(std::max(spread, 1));
    const int timeout = options_.least_timeout_seconds + static_cast<int>(extra);
    watch_ = WatchPhase::kOpening;
    early_before_ = now + base::seconds(timeout) / 10 * 9;
    watch_wake_ = now + base::seconds(timeout) + kGrace;
    actions_.push_back(OpenWatch{seen_, timeout});
  }
  if (list_.phase == ListPhase::kHeld) FinishSnapshot();
}

Actions WatchMachine::OnWatchOpened(base::Time now) {
  if (watch_ != WatchPhase::kOpening) return {};
  watch_ = WatchPhase::kOpen;
  refused_.reset();
  if (list_.phase != ListPhase::kPageAgain) detail_.clear();
  opened_.push_back(now);
  counted_ = true;
  stream_events_ = 0;
  if (opened_.size() > static_cast<size_t>(options_.streams_per_minute)) {
    opened_.erase(opened_.begin());
  }
  return Take();
}

void WatchMachine::Forgive() {
  if (std::exchange(counted_, false)) opened_.pop_back();
}

void WatchMachine::Progress() {
  watch_backoff_.Reset();
  refused_delay_ = kFirstRefusedDelay;
  expired_before_ = false;
}

Actions WatchMachine::OnEvent(EventType type, const ObjectRef& object, base::Time now) {
  if (watch_ != WatchPhase::kOpen) return {};
  if (object.resource_version.empty()) {
    CloseWatchLane();
    RetryWatch(Malformed("an event without a resourceVersion"), now);
    return Take();
  }
  if (!NewerOrUnordered(object.resource_version, seen_)) {
    ++repeated_events_;
    return {};
  }
  Progress();
  // A server ends the stream of whoever reads slowly, again and again while that lasts.
  if (++stream_events_ == kEventsWorthAStream) Forgive();
  seen_.assign(object.resource_version);
  if (type == EventType::kDeleted) {
    Forget(object);
  } else {
    known_empty_ = false;
    list_.any_objects = true;
    Remember(object, /*at_position=*/true, &anchors_);
    if (list_.begun) Remember(object, /*at_position=*/true, &list_.anchors);
  }
  actions_.push_back(EmitChange{type});
  return std::exchange(actions_, {});
}

Actions WatchMachine::OnBookmark(std::string_view resource_version, base::Time /*now*/) {
  if (watch_ != WatchPhase::kOpen || resource_version.empty()) return {};
  if (!NewerOrUnordered(resource_version, seen_)) return {};
  Progress();
  seen_.assign(resource_version);
  if (position_valid()) actions_.push_back(PositionMoved{});
  return std::exchange(actions_, {});
}

Actions WatchMachine::OnWatchEnd(base::Time now) {
  if (watch_ != WatchPhase::kOpen && watch_ != WatchPhase::kOpening) return {};
  if (now >= early_before_) {
    Progress();
    OpenWatchNow(now);
  } else {
    ApiError early;
    early.reason = Reason::kUnavailable;
    early.message = "the server ended the watch early";
    RetryWatch(early, now);
  }
  return Take();
}

Actions WatchMachine::OnWatchFailed(const ApiError& error, base::Time now) {
  if (watch_ != WatchPhase::kOpen && watch_ != WatchPhase::kOpening) return {};
  const bool was_open = watch_ == WatchPhase::kOpen;
  watch_ = WatchPhase::kNone;
  if (IsRefusal(error)) {
    Refused(error, now);
  } else if (error.expired()) {
    WatchExpired(error, was_open, now);
  } else {
    RetryWatch(error, now);
  }
  return Take();
}

void WatchMachine::WatchExpired(const ApiError& error, bool was_open, base::Time now) {
  const bool listing = list_.phase != ListPhase::kNone;
  after_check_ =
      listing && list_.reason != SnapshotReason::kAudit ? list_.reason : SnapshotReason::kExpired;
  CloseListLane();
  if (std::exchange(expired_before_, true)) {
    RetryWatch(error, now);
  } else {
    // As after each restart of the server: no stream that was wasted.
    if (was_open) Forgive();
    BeginCheck();
  }
}

void WatchMachine::RetryWatch(const ApiError& why, base::Time now) {
  // Being told to slow down says nothing against the server's history; anything else may be a
  // restore.
  if (why.reason != Reason::kTooManyRequests) proven_ = false;
  watch_ = WatchPhase::kWaiting;
  watch_wake_ = EarliestOpen(RetryTime(why, &watch_backoff_, now));
  detail_ = Describe(why);
}

void WatchMachine::Refused(const ApiError& error, base::Time now) {
  if (list_.phase != ListPhase::kNone) after_check_ = list_.reason;
  CloseListLane();
  CloseWatchLane();
  const bool forbidden = error.reason == Reason::kForbidden;
  refused_ = forbidden ? WatchState::kForbidden : WatchState::kMissing;
  detail_ = Describe(error);
  proven_ = false;
  watch_ = WatchPhase::kWaiting;
  // A server that has just started refuses what it has not read the roles or definitions of yet.
  const base::Duration most = forbidden ? options_.forbidden_retry : options_.missing_retry;
  watch_wake_ = now + Jittered(std::min(refused_delay_, most));
  refused_delay_ = std::min(refused_delay_ * 2, most);
}

void WatchMachine::CloseWatchLane() {
  if (Checking()) actions_.push_back(CloseCheck{});
  if (watch_ == WatchPhase::kOpening || watch_ == WatchPhase::kOpen) {
    actions_.push_back(CloseWatch{});
  }
  watch_ = WatchPhase::kNone;
  watch_wake_ = base::Time::max();
}

// ---- Time.

Actions WatchMachine::Tick(base::Time now) {
  if (watch_ == WatchPhase::kWaiting && now >= watch_wake_) {
    watch_wake_ = base::Time::max();
    if (proven_) {
      OpenWatchNow(now);
    } else {
      BeginCheck();
    }
  } else if ((watch_ == WatchPhase::kOpening || watch_ == WatchPhase::kOpen) &&
             now >= watch_wake_) {
    CloseWatchLane();
    RetryWatch(TransportError(absl::DeadlineExceededError("the watch has no end")), now);
  }
  if (list_.phase == ListPhase::kWaiting && now >= list_.wake) {
    AskForSnapshot(list_.reason);
  } else if (list_.phase == ListPhase::kPageAgain && now >= list_.wake) {
    OpenPage(std::string(list_.token));
  }
  return Take();
}

base::Time WatchMachine::NextWake() const {
  const bool timed = watch_ == WatchPhase::kWaiting || watch_ == WatchPhase::kOpening ||
                     watch_ == WatchPhase::kOpen;
  return std::min(timed ? watch_wake_ : base::Time::max(), list_.wake);
}

base::Time WatchMachine::RetryTime(const ApiError& why, base::Backoff* backoff, base::Time now) {
  return now + why.retry_after.value_or(base::Duration::zero()) + backoff->Next();
}

base::Time WatchMachine::EarliestOpen(base::Time wanted) const {
  if (opened_.size() < static_cast<size_t>(options_.streams_per_minute)) return wanted;
  return std::max(wanted, opened_.front() + base::minutes(1));
}

base::Duration WatchMachine::Jittered(base::Duration about) {
  const auto percent = static_cast<int64_t>(75 + base::NextRandom(&random_) % 51);
  return about / 100 * percent;
}

// ---- What is known of the view.

std::vector<Anchor> WatchMachine::AnchorsAt(std::string_view version) const {
  std::vector<Anchor> anchors;
  if (version != seen_ || !position_valid()) return anchors;
  for (const Anchor& one : anchors_) {
    // Newest first: without the newest the others may be older than a restore. What is newer than
    // `version` is of a list that went on at a later one.
    const auto order = base::CompareResourceVersions(one.resource_version, version);
    if (!one.at_position || !order || *order > 0) break;
    anchors.push_back(one);
  }
  return anchors;
}

void WatchMachine::Remember(const ObjectRef& object, bool at_position,
                            std::vector<Anchor>* anchors) {
  if (object.resource_version.empty()) return;
  const auto same = std::find_if(anchors->begin(), anchors->end(),
                                 [&](const Anchor& one) { return SameName(one, object); });
  if (same != anchors->end()) {
    if (Older(object.resource_version, same->resource_version)) return;
    anchors->erase(same);
  }
  const auto place = std::find_if(anchors->begin(), anchors->end(), [&](const Anchor& one) {
    return !Older(object.resource_version, one.resource_version);
  });
  if (place == anchors->end() && anchors->size() >= kAnchors) return;
  anchors->insert(
      place, Anchor{std::string(object.name_space), std::string(object.name),
                    std::string(object.uid), std::string(object.resource_version), at_position});
  if (anchors->size() > kAnchors) anchors->pop_back();
}

void WatchMachine::Forget(const ObjectRef& object) {
  for (std::vector<Anchor>* anchors : {&anchors_, &list_.anchors}) {
    std::erase_if(*anchors, [&](const Anchor& one) { return SameName(one, object); });
  }
}

WatchState WatchMachine::DerivedState() const {
  if (refused_) return *refused_;
  const bool open = watch_ == WatchPhase::kOpen ||
                    (watch_ == WatchPhase::kOpening && state_ == WatchState::kWatching);
  switch (list_.phase) {
    case ListPhase::kPage:
    case ListPhase::kPageAgain:
    case ListPhase::kWants:
    case ListPhase::kHeld:
      return WatchState::kListing;
    case ListPhase::kAdmission:
      if (!open) return WatchState::kAdmission;
      break;
    case ListPhase::kNone:
    case ListPhase::kWaiting:
      break;
  }
  if (open) return WatchState::kWatching;
  return Checking() ? WatchState::kChecking : WatchState::kIdle;
}

void WatchMachine::ReportState() {
  const WatchState state = DerivedState();
  std::string detail = state == WatchState::kWatching ? "" : detail_;
  if (state == state_ && detail == reported_detail_) return;
  state_ = state;
  reported_detail_ = detail;
  actions_.push_back(StateChanged{state, std::move(detail)});
}

Actions WatchMachine::Take() {
  ReportState();
  return std::exchange(actions_, {});
}

}  // namespace fairlead::kube
