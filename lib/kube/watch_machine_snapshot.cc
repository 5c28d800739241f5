#include <string>
#include <utility>

#include "lib/kube/watch_answers.h"
#include "lib/kube/watch_machine.h"

// The half of the WatchMachine that reads lists.
namespace fairlead::kube {

void WatchMachine::AskForSnapshot(SnapshotReason reason) {
  list_ = List{};
  list_.phase = ListPhase::kAdmission;
  list_.reason = reason;
  actions_.push_back(RequestAdmission{reason});
}

Actions WatchMachine::OnSnapshotAdmitted(base::Time /*now*/) {
  if (list_.phase != ListPhase::kAdmission) return {};
  list_.floor = seen_;
  OpenPage("");
  return Take();
}

void WatchMachine::OpenPage(const std::string& token) {
  list_.phase = ListPhase::kPage;
  list_.wake = base::Time::max();
  list_.token = token;
  list_.page_has_items = false;
  actions_.push_back(OpenList{token});
}

void WatchMachine::BeginSnapshot() {
  if (list_.begun) return;
  list_.begun = true;
  actions_.push_back(EmitSnapshotBegin{list_.reason});
}

Actions WatchMachine::OnListItem(const ObjectRef& item, base::Time /*now*/) {
  if (list_.phase != ListPhase::kPage) return {};
  BeginSnapshot();
  list_.page_has_items = true;
  list_.any_objects = true;
  Remember(item, /*at_position=*/true, &list_.anchors);
  if (!complete_) Remember(item, /*at_position=*/true, &anchors_);
  actions_.push_back(EmitSnapshotItem{});
  return std::exchange(actions_, {});
}

Actions WatchMachine::OnListPage(std::string_view list_version, std::string_view continue_token,
                                 base::Time now) {
  if (list_.phase != ListPhase::kPage) return {};
  const std::string& before = list_.first_version.empty() ? list_.floor : list_.last_version;
  if (list_version.empty()) {
    PageAgain(Malformed("a list without a resourceVersion"), now);
  } else if (!before.empty() && Older(list_version, before)) {
    list_.phase = ListPhase::kWants;  // this page is over
    CloseWatchLane();
    NotProven();
  } else {
    const std::string asked = list_.token;
    PageDone(list_version, now);
    if (continue_token.empty()) {
      list_.phase = ListPhase::kWants;
      actions_.push_back(AwaitWants{});
    } else if (continue_token == asked) {
      list_.phase = ListPhase::kWants;
      RestartSnapshot("the server gives the same continue token twice", now);
    } else {
      OpenPage(std::string(continue_token));
    }
  }
  return Take();
}

void WatchMachine::PageDone(std::string_view list_version, base::Time now) {
  BeginSnapshot();
  actions_.push_back(EmitSnapshotPage{});
  list_backoff_.Reset();
  list_.expired_before = false;
  detail_.clear();
  const bool first = list_.first_version.empty();
  if (!first && list_version != list_.last_version) list_.consistent = false;
  list_.last_version = std::string(list_version);
  if (!first) return;
  list_.first_version = list_.last_version;
  fresh_ = false;
  if (watch_ != WatchPhase::kNone) return;  // an older watch covers more
  seen_ = list_.first_version;
  complete_ = false;  // the other pages are still to come
  anchors_ = list_.anchors;
  proven_ = true;
  OpenWatchNow(now);
}

Actions WatchMachine::OnListFailed(const ApiError& error, base::Time now) {
  if (list_.phase != ListPhase::kPage) return {};
  list_.phase = ListPhase::kPageAgain;  // this request is over
  if (IsRefusal(error)) {
    Refused(error, now);
  } else if (error.expired()) {
    PageExpired(error, now);
  } else if (AnswersNothing(error) && !list_.token.empty()) {
    RestartSnapshot(Describe(error), now);
  } else {
    PageAgain(error, now);
  }
  return Take();
}

void WatchMachine::DropItems() {
  if (std::exchange(list_.page_has_items, false)) actions_.push_back(DropPage{});
}

void WatchMachine::PageAgain(const ApiError& why, base::Time now) {
  DropItems();
  detail_ = Describe(why);
  list_.phase = ListPhase::kPageAgain;
  list_.wake = RetryTime(why, &list_backoff_, now);
}

void WatchMachine::PageExpired(const ApiError& error, base::Time now) {
  if (list_.token.empty() || error.continue_token.empty()) {
    return RestartSnapshot(Describe(error), now);
  }
  DropItems();
  if (!std::exchange(list_.expired_before, true)) return OpenPage(error.continue_token);
  list_.token = error.continue_token;
  PageAgain(error, now);
}

void WatchMachine::RestartSnapshot(std::string_view why, base::Time now) {
  const SnapshotReason reason = list_.reason;
  CloseListLane();
  detail_ = std::string(why);
  list_.phase = ListPhase::kWaiting;
  list_.reason = reason;
  list_.wake = RetryTime(ApiError{}, &list_backoff_, now);
}

Actions WatchMachine::OnWantsDone(base::Time /*now*/) {
  if (list_.phase != ListPhase::kWants) return {};
  if (InDoubt()) {
    list_.phase = ListPhase::kHeld;
  } else {
    FinishSnapshot();
  }
  return Take();
}

void WatchMachine::FinishSnapshot() {
  actions_.push_back(EmitSnapshotEnd{list_.first_version, list_.consistent});
  known_empty_ = !list_.any_objects;
  complete_ = true;
  // What is not among them may have gone unseen.
  anchors_ = std::move(list_.anchors);
  list_ = List{};
  actions_.push_back(PositionMoved{});
}

void WatchMachine::CloseListLane() {
  if (list_.phase == ListPhase::kPage) actions_.push_back(CloseList{});
  if (list_.begun) actions_.push_back(SnapshotAbandoned{});
  list_ = List{};
}

}  // namespace fairlead::kube
