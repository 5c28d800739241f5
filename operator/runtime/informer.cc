#include "operator/runtime/informer.h"

#include <algorithm>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/json/frame_reader.h"
#include "lib/json/list_splitter.h"
#include "lib/log/log.h"

namespace fairlead::op {

namespace {

constexpr int kPageSize = 500;
constexpr size_t kMaxErrorBody = size_t{64} << 10;

kube::WatchOptions OptionsOf() {
  kube::WatchOptions options;
  options.seed = base::RandomU128().lo;
  options.forbidden_retry = base::seconds(10);
  return options;
}

kube::ObjectRef RefOf(const json::ObjectView& object) {
  return {object.name_space, object.name, object.uid, object.resource_version};
}

Key KeyOf(const json::ObjectView& object) {
  return {std::string(object.name_space), std::string(object.name)};
}

// managedFields are the largest part of a small object, and nobody reads them.
Informer::Object Parsed(std::string_view text) {
  auto value = json::ParseJson(text);
  if (!value.ok()) return nullptr;
  auto object = std::make_shared<Json::Value>(*std::move(value));
  (*object)["metadata"].removeMember("managedFields");
  return object;
}

}  // namespace

class Informer::Request : public net::ResponseHandler {
 public:
  Request(Informer* owner, What what) : what(what), owner_(owner) {}
  void OnHeaders(int code, const net::Headers& given) override {
    status = code;
    headers = given;
    if (what == What::kWatch && status == 200) {
      owner_->Apply(owner_->machine_.OnWatchOpened(owner_->now()));
    }
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

  const What what;
  std::unique_ptr<net::HttpStream> stream;
  bool dropped = false;
  int status = 0;
  net::Headers headers;
  std::string error_body;
  json::FrameReader frames;
  json::ListSplitter items;
  std::optional<kube::Anchor> found;

 private:
  Informer* owner_;
};

Informer::Informer(kube::ResourceType type, std::string name_space, kube::ApiClient* api,
                   base::Loop* loop, OnChange on_change)
    : type_(std::move(type)),
      name_space_(std::move(name_space)),
      api_(api),
      loop_(loop),
      on_change_(std::move(on_change)),
      machine_(OptionsOf()) {}

Informer::~Informer() = default;

void Informer::Start() { Apply(machine_.Start(std::nullopt, now())); }

void Informer::Stop() {
  Apply(machine_.Stop());
  timer_.reset();
  alive_.reset();
  watch_.reset();
  list_.reset();
  check_.reset();
}

bool Informer::synced() const {
  const base::MutexLock lock(mutex_);
  return synced_;
}

Informer::Object Informer::Get(const Key& key) const {
  const base::MutexLock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<Informer::Object> Informer::List() const {
  const base::MutexLock lock(mutex_);
  std::vector<Object> out;
  out.reserve(objects_.size());
  for (const auto& [key, object] : objects_) out.push_back(object);
  return out;
}

void Informer::Apply(const kube::Actions& actions) {
  for (const kube::Action& action : actions) ApplyOne(action);
  Rearm();
}

// Answers that are ours to give, never from inside the machine's own call.
void Informer::Later(std::function<kube::Actions()> event) {
  loop_->Post([this, alive = std::weak_ptr(alive_), event = std::move(event)] {
    if (alive.lock()) Apply(event());
  });
}

void Informer::ApplyOne(const kube::Action& action) {
  if (std::holds_alternative<kube::RequestAdmission>(action)) {
    Later([this] { return machine_.OnSnapshotAdmitted(now()); });
  } else if (std::holds_alternative<kube::OpenProbe>(action)) {
    check_ = Open(What::kProbe, kube::ListTarget(type_, name_space_, {.limit = 1}));
  } else if (const auto* check = std::get_if<kube::OpenAnchorCheck>(&action)) {
    kube::ListQuery query{
        .limit = 1, .exact = !check->exact_version.empty(), .name = check->anchor.name};
    query.resource_version = check->exact_version;
    check_ = Open(What::kAnchor, kube::ListTarget(type_, check->anchor.name_space, query));
  } else if (const auto* list = std::get_if<kube::OpenList>(&action)) {
    list_ = Open(What::kList,
                 kube::ListTarget(type_, name_space_,
                                  {.limit = kPageSize, .continue_token = list->continue_token}));
  } else if (const auto* watch = std::get_if<kube::OpenWatch>(&action)) {
    watch_ = Open(What::kWatch, kube::WatchTarget(type_, name_space_, watch->resource_version,
                                                  watch->timeout_seconds));
  } else if (std::holds_alternative<kube::CloseWatch>(action)) {
    Close(&watch_);
  } else if (std::holds_alternative<kube::CloseList>(action)) {
    Close(&list_);
  } else if (std::holds_alternative<kube::CloseCheck>(action)) {
    Close(&check_);
  } else if (const auto* change = std::get_if<kube::EmitChange>(&action)) {
    EmitChange(change->type);
  } else if (std::holds_alternative<kube::EmitSnapshotBegin>(action) ||
             std::holds_alternative<kube::SnapshotAbandoned>(action)) {
    staged_.clear();
    page_.clear();
    live_.clear();
  } else if (std::holds_alternative<kube::EmitSnapshotItem>(action)) {
    if (Object object = Parsed(current_->text)) {
      page_.push_back(KeyOf(*current_));
      staged_[page_.back()] = std::move(object);
    }
  } else if (std::holds_alternative<kube::DropPage>(action)) {
    for (const Key& key : page_) staged_.erase(key);
    page_.clear();
  } else if (std::holds_alternative<kube::EmitSnapshotPage>(action)) {
    page_.clear();
  } else if (std::holds_alternative<kube::AwaitWants>(action)) {
    Later([this] { return machine_.OnWantsDone(now()); });
  } else if (std::holds_alternative<kube::EmitSnapshotEnd>(action)) {
    ReplaceAll();
  } else if (const auto* state = std::get_if<kube::StateChanged>(&action)) {
    if (!state->detail.empty()) {
      log::Warn("watch", {{"resource", type_.resource},
                          {"namespace", name_space_},
                          {"state", kube::WatchStateName(state->state)},
                          {"reason", state->detail}});
    }
  }
}

// What the watch said since the list began is newer than the list.
void Informer::ReplaceAll() {
  std::vector<Key> changed;
  {
    const base::MutexLock lock(mutex_);
    for (auto it = objects_.begin(); it != objects_.end();) {
      const bool gone = !staged_.contains(it->first) && !live_.contains(it->first);
      if (gone) changed.push_back(it->first);
      it = gone ? objects_.erase(it) : std::next(it);
    }
    for (auto& [key, object] : staged_) {
      if (live_.contains(key)) continue;
      Object& known = objects_[key];
      if (!known ||
          (*known)["metadata"]["resourceVersion"] != (*object)["metadata"]["resourceVersion"]) {
        changed.push_back(key);
      }
      known = object;
    }
    synced_ = true;
  }
  staged_.clear();
  live_.clear();
  for (const Key& key : changed) on_change_(key);
}

void Informer::EmitChange(kube::EventType type) {
  const Key key = KeyOf(*current_);
  Object object = type == kube::EventType::kDeleted ? nullptr : Parsed(current_->text);
  if (!object && type != kube::EventType::kDeleted) return;
  if (machine_.in_snapshot()) live_.insert(key);
  {
    const base::MutexLock lock(mutex_);
    if (object) {
      objects_[key] = std::move(object);
    } else {
      objects_.erase(key);
    }
  }
  on_change_(key);
}

void Informer::Rearm() {
  timer_.reset();
  const base::Time wake = machine_.NextWake();
  if (wake == base::Time::max()) return;
  timer_ = loop_->After(std::max(wake - now(), base::Duration::zero()),
                        [this] { Apply(machine_.Tick(now())); });
}

std::unique_ptr<Informer::Request> Informer::Open(What what, std::string target) {
  auto request = std::make_unique<Request>(this, what);
  net::RequestOptions options;
  options.lane = net::Lane::kWatch;
  options.total_timeout =
      what == What::kWatch ? base::Duration(base::minutes(11)) : base::minutes(5);
  net::HttpRequest get;
  get.target = std::move(target);
  get.headers = {{"accept", "application/json"}};
  request->stream = api_->Stream(std::move(get), options, request.get());
  return request;
}

// May be called from inside the request's own callback: it goes when the loop comes round.
void Informer::Close(std::unique_ptr<Request>* request) {
  if (!*request) return;
  (*request)->dropped = true;
  (*request)->stream.reset();
  loop_->Post([gone = std::shared_ptr<Request>(std::move(*request))] {});
}

void Informer::OnBody(Request* request, std::string_view data) {
  if (request->what == What::kWatch) {
    request->frames.Feed(data);
    while (const auto frame = request->frames.Next()) {
      OnFrame(*frame);
      if (request->dropped) return;
    }
    return;
  }
  request->items.Feed(data);
  while (const auto item = request->items.Next()) {
    OnItem(request, *item);
    if (request->dropped) return;
  }
}

void Informer::OnItem(Request* request, std::string_view text) {
  const auto object = reader_.ReadObject(text, {});
  if (!object.ok()) {
    log::Warn("list item left out", {{"resource", type_.resource}, {"error", object.status()}});
    return;
  }
  if (request->what != What::kList) {
    request->found = kube::Anchor{std::string(object->name_space), std::string(object->name),
                                  std::string(object->uid), std::string(object->resource_version)};
    return;
  }
  current_ = &*object;
  Apply(machine_.OnListItem(RefOf(*object), now()));
  current_ = nullptr;
}

void Informer::OnFrame(std::string_view frame) {
  const auto event = reader_.ReadWatchEvent(frame, {});
  if (!event.ok()) {
    log::Warn("watch event left out", {{"resource", type_.resource}, {"error", event.status()}});
    return;
  }
  using Type = json::WatchEventView::Type;
  if (event->type == Type::kError) {
    const kube::ApiError error = kube::DecodeWatchError(event->object.text);
    Close(&watch_);
    return Apply(machine_.OnWatchFailed(error, now()));
  }
  if (event->type == Type::kBookmark) {
    return Apply(machine_.OnBookmark(event->object.resource_version, now()));
  }
  const kube::EventType type = event->type == Type::kAdded      ? kube::EventType::kAdded
                               : event->type == Type::kModified ? kube::EventType::kModified
                                                                : kube::EventType::kDeleted;
  current_ = &event->object;
  Apply(machine_.OnEvent(type, RefOf(event->object), now()));
  current_ = nullptr;
}

void Informer::OnDone(Request* request, const absl::Status& status) {
  const What what = request->what;
  const bool answered = request->status == 200 && status.ok();
  if (request->status == 401) api_->Unauthorized();
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

void Informer::ListDone(Request* request) {
  const What what = request->what;
  const auto meta = request->items.Finish();
  const std::optional<kube::Anchor> found = request->found;
  Close(what == What::kList ? &list_ : &check_);
  if (!meta.ok()) {
    const kube::ApiError error = kube::TransportError(meta.status());
    return Apply(what == What::kList ? machine_.OnListFailed(error, now())
                                     : machine_.OnCheckFailed(error, now()));
  }
  if (what == What::kList) {
    return Apply(machine_.OnListPage(meta->resource_version, meta->continue_token, now()));
  }
  if (what == What::kProbe) {
    return Apply(machine_.OnProbe(meta->resource_version, meta->items == 0, now()));
  }
  std::optional<kube::ObjectRef> anchor;
  if (found) {
    anchor = kube::ObjectRef{found->name_space, found->name, found->uid, found->resource_version};
  }
  Apply(machine_.OnAnchor(anchor, now()));
}

}  // namespace fairlead::op
