#include "agent/account/watcher.h"

#include <algorithm>
#include <utility>

#include "agent/account/position.h"
#include "lib/base/strings.h"
#include "lib/json/frame_reader.h"
#include "lib/json/list_splitter.h"
#include "lib/log/log.h"

namespace fairlead::agent {

namespace {

constexpr int kPageSize = 500;
constexpr size_t kMaxErrorBody = size_t{64} << 10;
constexpr size_t kMaxRereadBody = size_t{4} << 20;
constexpr size_t kRereadsAtOnce = 8;

v1::Kind KindOf(const kube::ResourceType& type) {
  v1::Kind kind;
  kind.set_group(type.group);
  kind.set_resource(type.resource);
  kind.set_kind(type.kind);
  kind.set_version(type.version);
  kind.set_namespaced(type.namespaced);
  return kind;
}

kube::ObjectRef RefOf(const json::ObjectView& object) {
  return {object.name_space, object.name, object.uid, object.resource_version};
}

}  // namespace

// One request of the machine's and its answer so far.
class Watcher::Request : public net::ResponseHandler {
 public:
  Request(Watcher* owner, What what) : owner_(owner), what(what) {}
  void OnHeaders(int code, const net::Headers& given) override {
    status = code;
    headers = given;
    if (what == What::kWatch && status == 200)
      owner_->Apply(owner_->machine_.OnWatchOpened(owner_->now()));
  }
  void OnData(std::string_view data) override {
    if (status == 200) return owner_->OnBody(this, data);
    error_body.append(data.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, error_body.size())));
  }
  void OnEnd(const absl::Status& why) override { owner_->OnDone(this, why); }

  [[nodiscard]] kube::ApiError Error(const absl::Status& why) const {
    return status == 0 || (status == 200 && !why.ok())
               ? kube::TransportError(why)
               : kube::DecodeError(status, headers, error_body);
  }

  Watcher* owner_;
  What what;
  std::unique_ptr<net::HttpStream> stream;
  bool dropped = false;  // of no interest any more
  int status = 0;
  net::Headers headers;
  std::string error_body;
  json::FrameReader frames;
  json::ListSplitter items;
  // Of a check: its only item.
  std::optional<kube::Anchor> found;
};

// Reads one wanted object again.
class Watcher::Reread : public net::ResponseHandler {
 public:
  Reread(Watcher* owner, v1::ObjectName name) : owner_(owner), name_(std::move(name)) {}
  void OnHeaders(int code, const net::Headers&) override { status_ = code; }
  void OnData(std::string_view data) override {
    if (body_.size() + data.size() <= kMaxRereadBody) body_.append(data);
  }
  void OnEnd(const absl::Status& why) override {
    done = true;
    owner_->OnReread(name_, why.ok() ? status_ : 0, body_);
  }
  std::unique_ptr<net::HttpStream> stream;
  bool done = false;

 private:
  Watcher* owner_;
  v1::ObjectName name_;
  int status_ = 0;
  std::string body_;
};

Watcher::Watcher(const kube::WatchTargetSpec& target, const kube::ScopeRules* scope,
                 WatchHost* host, uint64_t seed)
    : target_(target), scope_(scope), host_(host), machine_({.seed = seed}), seed_(seed) {
  cut_rules_.secret_data =
      target.type.group.empty() && target.type.resource == "secrets" && !scope->keep_secret_data;
  wire::Outbox::Watch watch;
  watch.kind = KindOf(target.type);
  watch.name = target.name_space;
  watch.rules_hash = kube::RulesHash(*scope, target.type, json::CutRules::kVersion);
  watch.anchors_at = [this](const std::string& version, v1::Checkpoint* checkpoint) {
    AddAnchors(machine_.AnchorsAt(version), checkpoint);
  };
  watch_number_ = host_->outbox()->AddWatch(watch);
}

Watcher::~Watcher() = default;

void Watcher::Start(const std::optional<v1::Position>& position) {
  BeginAudits(position);
  if (!position) return Apply(machine_.Start(std::nullopt, now()));
  bodies_ = position->count() == 0;
  const bool same =
      position->rules_hash() == kube::RulesHash(*scope_, target_.type, json::CutRules::kVersion);
  std::optional<kube::SnapshotReason> reason;
  if (!same) reason = kube::SnapshotReason::kRules;
  Apply(machine_.Start(PositionOf(*position), now(), reason));
}

void Watcher::OnAdmitted(const std::string& snapshot_id) {
  if (snapshot_id != snapshot_id_ || admitted_) return;
  admitted_ = true;
  Apply(machine_.OnSnapshotAdmitted(now()));
}

void Watcher::SetPaused(bool paused) {
  if (std::exchange(paused_, paused) == paused) return;
  for (Request* request : {watch_.get(), list_.get()}) {
    if (request == nullptr || !request->stream) continue;
    if (paused) {
      request->stream->Pause();
    } else {
      request->stream->Resume();
    }
  }
}

std::unique_ptr<Watcher::Request> Watcher::Open(What what, std::string target) {
  auto request = std::make_unique<Request>(this, what);
  net::RequestOptions options;
  options.lane = net::Lane::kWatch;
  options.total_timeout =
      what == What::kWatch ? base::Duration(base::minutes(11)) : base::minutes(10);
  if (what != What::kWatch) options.idle_timeout = base::seconds(60);
  if (what == What::kList) ++host_->counters()->lists;
  request->stream = host_->transport()->Start(
      {"GET", std::move(target), host_->RequestHeaders(), ""}, options, request.get());
  // A check is small, and nothing would resume it.
  if (paused_ && (what == What::kWatch || what == What::kList)) request->stream->Pause();
  return request;
}

// May be called from inside the request's own callback: it goes when the loop comes round.
void Watcher::Close(std::unique_ptr<Request>* request) {
  if (!*request) return;
  (*request)->dropped = true;
  (*request)->stream.reset();
  host_->loop()->Post([gone = std::shared_ptr<Request>(std::move(*request))] {});
}

void Watcher::Apply(const kube::Actions& actions) {
  for (const kube::Action& action : actions) ApplyOne(action);
  Rearm();
}

void Watcher::ApplyOne(const kube::Action& action) {
  wire::Outbox* outbox = host_->outbox();
  if (const auto* ask = std::get_if<kube::RequestAdmission>(&action)) {
    if (admitted_) {  // an abandoned snapshot's place is still ours: the endpoint was told no end
      host_->loop()->Post([this, alive = std::weak_ptr(alive_)] {
        if (alive.lock()) Apply(machine_.OnSnapshotAdmitted(now()));
      });
      return;
    }
    snapshot_id_ = base::ToBytes(base::RandomU128());
    host_->AskSnapshot(target_, snapshot_id_, ask->reason);
  } else if (std::holds_alternative<kube::OpenProbe>(action)) {
    check_ = Open(What::kProbe, kube::ListTarget(target_.type, target_.name_space, {.limit = 1}));
  } else if (const auto* check = std::get_if<kube::OpenAnchorCheck>(&action)) {
    kube::ListQuery query{
        .limit = 1, .exact = !check->exact_version.empty(), .name = check->anchor.name};
    query.resource_version = check->exact_version;
    check_ = Open(What::kAnchor, kube::ListTarget(target_.type, check->anchor.name_space, query));
  } else if (const auto* list = std::get_if<kube::OpenList>(&action)) {
    if (list->continue_token.empty()) {
      incomplete_ = false;
      listed_at_ = now();
    }
    list_ = Open(What::kList,
                 kube::ListTarget(target_.type, target_.name_space,
                                  {.limit = kPageSize, .continue_token = list->continue_token}));
  } else if (const auto* watch = std::get_if<kube::OpenWatch>(&action)) {
    watch_ = Open(What::kWatch, kube::WatchTarget(target_.type, target_.name_space,
                                                  watch->resource_version, watch->timeout_seconds));
  } else if (std::holds_alternative<kube::CloseWatch>(action)) {
    Close(&watch_);
  } else if (std::holds_alternative<kube::CloseList>(action)) {
    Close(&list_);
  } else if (std::holds_alternative<kube::CloseCheck>(action)) {
    Close(&check_);
  } else if (const auto* change = std::get_if<kube::EmitChange>(&action)) {
    Emit(change->type);
  } else if (std::holds_alternative<kube::EmitSnapshotBegin>(action)) {
    v1::SnapshotBegin begin;
    begin.set_snapshot_id(snapshot_id_);
    begin.set_history(machine_.history());
    begin.set_complete_list(true);
    wanted_.clear();
    salt_ = base::RandomU128();
    outbox->SnapshotBegin(watch_number_, std::move(begin), now());
  } else if (std::holds_alternative<kube::EmitSnapshotItem>(action)) {
    EmitItem();
  } else if (std::holds_alternative<kube::DropPage>(action)) {
    outbox->DropPage(watch_number_);
  } else if (std::holds_alternative<kube::EmitSnapshotPage>(action)) {
    outbox->SnapshotPage(watch_number_, now());
    host_->OutboxChanged();
  } else if (std::holds_alternative<kube::AwaitWants>(action)) {
    awaiting_wants_ = true;
    host_->loop()->Post([this, alive = std::weak_ptr(alive_)] {
      if (alive.lock()) CheckWants();
    });
  } else if (const auto* end = std::get_if<kube::EmitSnapshotEnd>(&action)) {
    bodies_ = false;
    admitted_ = false;
    heard_ = std::max(heard_.value_or(listed_at_), listed_at_);
    outbox->SnapshotEnd(watch_number_, end->resource_version, end->consistent, incomplete_, now());
    host_->OutboxChanged();
  } else if (std::holds_alternative<kube::SnapshotAbandoned>(action)) {
    awaiting_wants_ = false;
    // What was read for it may be older than the list of the next, which knows what is gone.
    wanted_.clear();
    rereads_.clear();
    reread_timer_.reset();
    bodies_ = false;  // some rows may be there now
    outbox->AbandonSnapshot(watch_number_);
  } else if (std::holds_alternative<kube::PositionMoved>(action)) {
    outbox->Seen(watch_number_, machine_.history(), machine_.seen_version(),
                 heard_.value_or(now()));
    host_->OutboxChanged();
  } else if (const auto* state = std::get_if<kube::StateChanged>(&action)) {
    detail_ = state->detail;
    gone_ = gone_ && state->state == kube::WatchState::kMissing;
    host_->OnWatchState();
  }
}

void Watcher::Rearm() {
  const base::Time wake = machine_.NextWake();
  if (wake == timer_at_) return;
  timer_at_ = wake;
  timer_.reset();
  if (wake == base::Time::max()) return;
  timer_ = host_->loop()->After(std::max(wake - now(), base::Duration::zero()), [this] {
    timer_at_ = base::Time::max();
    Apply(machine_.Tick(now()));
  });
}

void Watcher::OnBody(Request* request, std::string_view data) {
  if (request->what == What::kWatch) {
    request->frames.Feed(data);
    while (const auto frame = request->frames.Next()) {
      FeedFrame(*frame);
      if (request->dropped) return;
    }
    if (const absl::Status dropped = request->frames.TakeError(); !dropped.ok()) {
      ++host_->counters()->oversize;
      log::Warn("watch event beyond the limit left out",
                {{"resource", target_.type.resource}, {"error", dropped}});
    }
    return;
  }
  request->items.Feed(data);
  while (const auto item = request->items.Next()) {
    FeedItem(request, *item);
    if (request->dropped) return;
  }
}

void Watcher::FeedItem(Request* request, std::string_view text) {
  const auto object = reader_.ReadObject(text, cut_rules_);
  if (!object.ok()) {
    ++host_->counters()->invalid;
    if (request->what == What::kList) incomplete_ = true;
    log::Warn("list item left out",
              {{"resource", target_.type.resource}, {"error", object.status()}});
    return;
  }
  if (request->what != What::kList) {
    request->found = kube::Anchor{std::string(object->name_space), std::string(object->name),
                                  std::string(object->uid), std::string(object->resource_version)};
    return;
  }
  ++host_->counters()->items;
  current_ = &*object;
  Apply(machine_.OnListItem(RefOf(*object), now()));
  current_ = nullptr;
}

void Watcher::FeedFrame(std::string_view frame) {
  const auto event = reader_.ReadWatchEvent(frame, cut_rules_);
  if (!event.ok()) {
    ++host_->counters()->invalid;
    log::Warn("watch event left out",
              {{"resource", target_.type.resource}, {"error", event.status()}});
    return;
  }
  using Type = json::WatchEventView::Type;
  if (event->type == Type::kError) {
    const kube::ApiError error = kube::DecodeWatchError(event->object.text);
    Close(&watch_);
    return Apply(machine_.OnWatchFailed(error, now()));
  }
  if (event->type != Type::kError && machine_.live()) heard_ = now();
  if (event->type == Type::kBookmark) {
    return Apply(machine_.OnBookmark(event->object.resource_version, now()));
  }
  ++host_->counters()->events;
  const kube::EventType type = event->type == Type::kAdded      ? kube::EventType::kAdded
                               : event->type == Type::kModified ? kube::EventType::kModified
                                                                : kube::EventType::kDeleted;
  seen_before_ = machine_.seen_version();
  current_ = &event->object;
  Apply(machine_.OnEvent(type, RefOf(event->object), now()));
  current_ = nullptr;
  if (machine_.seen_version() != seen_before_ && machine_.position_valid()) {
    host_->outbox()->Seen(watch_number_, machine_.history(), machine_.seen_version(), now());
  }
  host_->OutboxChanged();
}

bool Watcher::Wanted(const json::ObjectView& object) const {
  return kube::InScope(*scope_, object.name_space) &&
         (!scope_->only_spinnaker_managed || object.managed_by_spinnaker);
}

void Watcher::Emit(kube::EventType type, bool wanted) {
  const json::ObjectView& object = *current_;
  const bool gone = type == kube::EventType::kDeleted || !Wanted(object);
  // What never was in scope has no row to delete; what left it may have one.
  if (gone && type == kube::EventType::kAdded) return;
  RecentHashes* recent = host_->recent();
  base::U128 content;
  if (!gone) content = json::HashSpliced(object.text, object.cuts, &hash_);
  if (gone || wanted) {  // what was read again may be older than what was sent
    recent->Forget(salt_, object.name_space, object.name);
  } else if (recent->Same(salt_, object.name_space, object.name, content)) {
    ++host_->counters()->unchanged;
    return;
  }
  v1::Change change;
  change.set_operation(gone ? v1::Change::DELETE : v1::Change::UPSERT);
  change.set_name_space(std::string(object.name_space));
  change.set_name(std::string(object.name));
  change.set_uid(std::string(object.uid));
  change.set_resource_version(std::string(object.resource_version));
  change.set_history(machine_.history());
  if (!gone) {
    change.set_content_hash(base::ToBytes(content));
    json::Splice(object.text, object.cuts, change.mutable_body());
  }
  ++host_->counters()->changes;
  host_->outbox()->Change(watch_number_, std::move(change), seen_before_, now());
}

void Watcher::EmitItem() {
  const json::ObjectView& object = *current_;
  if (!Wanted(object)) return;
  v1::SnapshotItem item;
  item.set_name_space(std::string(object.name_space));
  item.set_name(std::string(object.name));
  item.set_uid(std::string(object.uid));
  item.set_resource_version(std::string(object.resource_version));
  item.set_content_hash(base::ToBytes(json::HashSpliced(object.text, object.cuts, &hash_)));
  if (bodies_) json::Splice(object.text, object.cuts, item.mutable_body());
  host_->outbox()->SnapshotItem(watch_number_, std::move(item), now());
  host_->OutboxChanged();
}

void Watcher::OnDone(Request* request, const absl::Status& status) {
  const What what = request->what;
  const bool answered = request->status == 200 && status.ok();
  if (request->status == 401) host_->OnUnauthorized();
  if (what == What::kWatch) {
    const absl::Status whole = request->status == 200 ? request->frames.Finish() : absl::OkStatus();
    const kube::ApiError error = answered ? kube::TransportError(whole) : request->Error(status);
    Close(&watch_);
    return Apply(answered && whole.ok() ? machine_.OnWatchEnd(now())
                                        : machine_.OnWatchFailed(error, now()));
  }
  if (answered) return ListDone(request);
  const kube::ApiError error = request->Error(status);
  Close(what == What::kList ? &list_ : &check_);
  Apply(what == What::kList ? machine_.OnListFailed(error, now())
                            : machine_.OnCheckFailed(error, now()));
}

void Watcher::ListDone(Request* request) {
  const What what = request->what;
  const auto meta = request->items.Finish();
  const std::optional<kube::Anchor> found = request->found;
  Close(what == What::kList ? &list_ : &check_);
  if (!meta.ok()) {
    const kube::ApiError error = kube::TransportError(meta.status());
    return Apply(what == What::kList ? machine_.OnListFailed(error, now())
                                     : machine_.OnCheckFailed(error, now()));
  }
  host_->counters()->oversize += meta->oversize_items;
  if (meta->oversize_items > 0) {
    log::Warn("list items beyond the limit left out",
              {{"resource", target_.type.resource}, {"items", meta->oversize_items}});
  }
  if (what == What::kList) {
    if (meta->oversize_items > 0) incomplete_ = true;
    return Apply(machine_.OnListPage(meta->resource_version, meta->continue_token, now()));
  }
  if (what == What::kProbe) {
    return Apply(machine_.OnProbe(meta->resource_version, meta->items == 0, now()));
  }
  std::optional<kube::ObjectRef> anchor;
  if (found)
    anchor = kube::ObjectRef{found->name_space, found->name, found->uid, found->resource_version};
  Apply(machine_.OnAnchor(anchor, now()));
}

void Watcher::OnWant(const v1::Want& want) {
  if (want.snapshot_id() != snapshot_id_) return;
  for (const v1::ObjectName& name : want.names()) wanted_.push_back(name);
  host_->outbox()->OnWant(want.snapshot_id(), want.through_seq());
  PumpRereads();
  CheckWants();
}

void Watcher::OnRefused(const std::string& name_space, const std::string& name) {
  host_->recent()->Forget(salt_, name_space, name);
}

void Watcher::PumpRereads() {
  while (rereads_.size() < kRereadsAtOnce && !wanted_.empty()) {
    v1::ObjectName name = std::move(wanted_.front());
    wanted_.pop_front();
    const std::string target = kube::ObjectPath(target_.type, name.name_space(), name.name());
    auto reread = std::make_unique<Reread>(this, std::move(name));
    net::RequestOptions options;
    options.lane = net::Lane::kWatch;
    ++host_->counters()->rereads;
    reread->stream = host_->transport()->Start({"GET", target, host_->RequestHeaders(), ""},
                                               options, reread.get());
    rereads_.push_back(std::move(reread));
  }
}

// What is gone needs nothing: its DELETED event comes by the watch.
void Watcher::OnReread(const v1::ObjectName& name, int status, const std::string& body) {
  const bool gone = status == 404 && kube::DecodeError(status, {}, body).ObjectMissing(name.name());
  if (status == 200) {
    const auto object = reader_.ReadObject(body, cut_rules_);
    if (object.ok()) {
      seen_before_ = machine_.seen_version();
      current_ = &*object;
      Emit(kube::EventType::kModified, /*wanted=*/true);
      current_ = nullptr;
      host_->OutboxChanged();
    } else {
      ++host_->counters()->invalid;
    }
  } else if (!gone && machine_.in_snapshot()) {
    if (status == 401) host_->OnUnauthorized();
    wanted_.push_back(name);
  }
  const bool failed = status != 200 && !gone;
  host_->loop()->Post([this, alive = std::weak_ptr(alive_), failed] {
    if (!alive.lock()) return;
    std::erase_if(rereads_, [](const auto& one) { return one->done; });
    if (failed) {
      reread_timer_ = host_->loop()->After(base::seconds(1), [this] { PumpRereads(); });
    } else {
      PumpRereads();
    }
    CheckWants();
  });
}

void Watcher::CheckWants() {
  if (!awaiting_wants_ || !wanted_.empty() || !rereads_.empty()) return;
  if (!host_->outbox()->PagesAnswered(watch_number_)) return;
  awaiting_wants_ = false;
  Apply(machine_.OnWantsDone(now()));
}

}  // namespace fairlead::agent
