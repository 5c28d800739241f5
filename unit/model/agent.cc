#include "unit/model/agent.h"

#include <algorithm>

#include "agent/account/position.h"
#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "unit/model/part.h"

namespace fairlead::model {

namespace {

// Longer waits are for streams that never end.
constexpr base::Duration kLongestWait = base::seconds(250);

// Of the agent whose outbox is asked for a batch: a copy of an outbox must not hold on to the
// machine that it was made with.
const kube::WatchMachine* anchors_of = nullptr;

wire::OutboxOptions OutboxOptions(size_t batch_bytes) {
  wire::OutboxOptions options;
  options.codec = v1::CODEC_NONE;
  options.batch_raw_bytes = batch_bytes;
  options.checkpoint_interval = base::Duration::zero();
  options.flush_delay = base::Duration::zero();
  return options;
}

kube::ApiError Expired() {
  kube::ApiError error;
  error.code = 410;
  error.reason = kube::Reason::kExpired;
  return error;
}

}  // namespace

std::string BodyOf(const std::string& name, const Object& object) {
  return base::StrCat(R"({"metadata":{"name":")", name, R"(","namespace":"ns","uid":")", object.uid,
                      R"("},"v":)", object.version, "}");
}

void Agent::Start() { up_ = true; }

void Agent::Crash() {
  const uint64_t snapshots = snapshots_;  // their ids are random: none comes twice
  *this = Agent(number_, options_);
  snapshots_ = snapshots;
}

bool Agent::watching() const {
  return granted_ && begun_ && machine_->state() == kube::WatchState::kWatching &&
         machine_->position_valid();
}

void Agent::Note(const std::string& input) {
  told_ = FingerprintOf(base::StrCat(base::ToBytes(told_), input));
}

// ---- What the endpoint says: agent::Account.

void Agent::OnGrant(const v1::Grant& grant, const ApiServer& api) {
  EndGrant();
  granted_ = true;
  grant_ = grant;
  seen_.emplace();
  seen_->set_account_uid(grant.account_uid());
  seen_->set_store_epoch(grant.store_epoch());
  seen_->set_term(grant.term());
  seen_->set_seq(grant.last_seq());
  outbox_.emplace(wire::Outbox::Shard{grant.account_uid(), grant.shard(), grant.store_epoch(),
                                      grant.term(), grant.last_seq()},
                  OutboxOptions(options_.batch_bytes));
  const auto early = early_.extract(grant.term());
  std::erase_if(early_, [&](const auto& one) { return one.first <= grant.term(); });
  if (!early.empty()) OnPositions(early.mapped(), api);
}

void Agent::OnPositions(const v1::Positions& positions, const ApiServer& api) {
  if (!Current(positions.term())) {
    early_[positions.term()] = positions;
    return;
  }
  if (begun_) return;
  begun_ = true;
  std::optional<v1::Position> position;
  if (positions.positions_size() > 0) position = positions.positions(0);
  Begin(position, api);
}

void Agent::OnRevoke(const v1::Revoke& revoke) {
  if (Current(revoke.term())) EndGrant();
}

void Agent::OnLost() {
  early_.clear();
  EndGrant();
}

void Agent::EndGrant() {
  granted_ = begun_ = false;
  grant_.Clear();
  outbox_.reset();
  machine_.reset();
  now_ = base::Time{base::hours(1)};
  told_ = {};
  probe_ = false;
  anchor_.reset();
  list_.reset();
  opening_.reset();
  watch_.reset();
  bodies_ = true;
  snapshot_id_.clear();
  admitted_ = awaiting_wants_ = false;
  wanted_.clear();
  answers_.clear();
}

void Agent::OnAck(const v1::Ack& ack) {
  if (!granted_) return;
  if (seen_ && seen_->term() == ack.term()) seen_->set_seq(std::max(seen_->seq(), ack.seq()));
  if (!Current(ack.term())) return;
  Note(base::StrCat("ack ", ack.seq(), " ", ack.credit_bytes()));
  outbox_->OnAck(ack);
}

void Agent::OnWant(const v1::Want& want, const ApiServer& api) {
  if (!Current(want.term()) || want.snapshot_id() != snapshot_id_) return;
  for (const v1::ObjectName& name : want.names()) wanted_.push_back(name.name());
  Note(base::StrCat("want ", want.snapshot_id(), want.through_seq()));
  outbox_->OnWant(want.snapshot_id(), want.through_seq());
  CheckWants(api);
  Settle(api);
}

void Agent::OnAdmit(const v1::SnapshotAdmit& admit, const ApiServer& api) {
  if (!Current(admit.term()) || admit.snapshot_id() != snapshot_id_ || admitted_) return;
  admitted_ = true;
  Note("admitted");
  Apply(machine_->OnSnapshotAdmitted(now_), api);
  Settle(api);
}

// ---- The watch: agent::Watcher.

void Agent::Begin(const std::optional<v1::Position>& position, const ApiServer& api) {
  kube::WatchOptions options;
  options.streams_per_minute = 1000;
  machine_.emplace(options);
  wire::Outbox::Watch watch;
  watch.kind.set_resource("pods");
  watch.kind.set_kind("Pod");
  watch.kind.set_version("v1");
  watch.kind.set_namespaced(true);
  watch.rules_hash = std::string(16, 'r');
  watch.anchors_at = [](const std::string& version, v1::Checkpoint* checkpoint) {
    agent::AddAnchors(anchors_of->AnchorsAt(version), checkpoint);
  };
  outbox_->AddWatch(watch);
  Note(position ? position->SerializeAsString() : "no position");
  if (position) bodies_ = position->count() == 0;
  Apply(position ? machine_->Start(agent::PositionOf(*position), now_)
                 : machine_->Start(std::nullopt, now_),
        api);
  Settle(api);
}

void Agent::Apply(const kube::Actions& actions, const ApiServer& api) {
  for (const kube::Action& action : actions) ApplyOne(action, api);
}

void Agent::ApplyOne(const kube::Action& action, const ApiServer& api) {
  if (const auto* change = std::get_if<kube::EmitChange>(&action)) {
    Emit(change->type);
  } else if (std::holds_alternative<kube::EmitSnapshotBegin>(action)) {
    v1::SnapshotBegin begin;
    begin.set_snapshot_id(snapshot_id_);
    begin.set_history(machine_->history());
    begin.set_complete_list(true);
    wanted_.clear();
    outbox_->SnapshotBegin(0, std::move(begin), now_);
  } else if (std::holds_alternative<kube::EmitSnapshotItem>(action)) {
    EmitItem();
  } else if (std::holds_alternative<kube::DropPage>(action)) {
    outbox_->DropPage(0);
  } else if (std::holds_alternative<kube::EmitSnapshotPage>(action)) {
    outbox_->SnapshotPage(0, now_);
  } else if (std::holds_alternative<kube::AwaitWants>(action)) {
    awaiting_wants_ = true;
  } else if (const auto* end = std::get_if<kube::EmitSnapshotEnd>(&action)) {
    bodies_ = admitted_ = false;
    outbox_->SnapshotEnd(0, end->resource_version, end->consistent, /*incomplete=*/false, now_);
  } else if (std::holds_alternative<kube::SnapshotAbandoned>(action)) {
    awaiting_wants_ = bodies_ = false;
    wanted_.clear();
    answers_.clear();
    outbox_->AbandonSnapshot(0);
  } else if (std::holds_alternative<kube::PositionMoved>(action)) {
    outbox_->Seen(0, machine_->history(), machine_->seen_version(), now_);
  } else if (std::holds_alternative<kube::RequestAdmission>(action) && admitted_) {
    // An abandoned snapshot's place is still ours. The shell answers when its loop comes round;
    // nothing else of the machine is under way then.
    Apply(machine_->OnSnapshotAdmitted(now_), api);
  } else {
    ApplyRequest(action);
  }
}

void Agent::ApplyRequest(const kube::Action& action) {
  if (std::holds_alternative<kube::RequestAdmission>(action)) {
    snapshot_id_ = base::ToBytes(base::U128{static_cast<uint64_t>(number_) + 1, ++snapshots_});
    v1::SnapshotAsk ask;
    ask.set_account_uid(grant_.account_uid());
    ask.set_term(grant_.term());
    ask.set_snapshot_id(snapshot_id_);
    asks_.push_back(std::move(ask));
  } else if (std::holds_alternative<kube::OpenProbe>(action)) {
    probe_ = true;
  } else if (const auto* check = std::get_if<kube::OpenAnchorCheck>(&action)) {
    anchor_ = *check;
  } else if (const auto* list = std::get_if<kube::OpenList>(&action)) {
    list_ = list->continue_token;
  } else if (const auto* watch = std::get_if<kube::OpenWatch>(&action)) {
    opening_ = std::stoull(watch->resource_version);
  } else if (std::holds_alternative<kube::CloseWatch>(action)) {
    opening_.reset();
    watch_.reset();
  } else if (std::holds_alternative<kube::CloseList>(action)) {
    list_.reset();
  } else if (std::holds_alternative<kube::CloseCheck>(action)) {
    probe_ = false;
    anchor_.reset();
  }
}

void Agent::Settle(const ApiServer& api) {
  for (int i = 0; i < 100; ++i) {
    if (probe_ || anchor_) {
      AnswerCheck(api);
    } else if (opening_) {
      const uint64_t from = *std::exchange(opening_, std::nullopt);
      if (from < api.compacted()) {
        Apply(machine_->OnWatchFailed(Expired(), now_), api);
      } else {
        watch_ = from;
        Apply(machine_->OnWatchOpened(now_), api);
      }
    } else if (machine_->NextWake() < now_ + kLongestWait) {
      now_ = std::max(now_, machine_->NextWake());
      Apply(machine_->Tick(now_), api);
    } else {
      return;
    }
  }
  FAIRLEAD_CHECK(false);  // the machine never comes to rest
}

void Agent::AnswerCheck(const ApiServer& api) {
  if (std::exchange(probe_, false)) {
    const std::string version = std::to_string(api.version());
    Note(base::StrCat("probe ", version, api.objects().empty() ? " empty" : ""));
    return Apply(machine_->OnProbe(version, api.objects().empty(), now_), api);
  }
  const kube::OpenAnchorCheck check = *std::exchange(anchor_, std::nullopt);
  const Objects* objects = &api.objects();
  if (!check.exact_version.empty()) objects = api.Exact(std::stoull(check.exact_version));
  if (objects == nullptr) {
    Note("anchor expired");
    return Apply(machine_->OnCheckFailed(Expired(), now_), api);
  }
  const auto found = objects->find(check.anchor.name);
  if (found == objects->end()) {
    Note("no anchor");
    return Apply(machine_->OnAnchor(std::nullopt, now_), api);
  }
  const std::string version = std::to_string(found->second.version);
  Note(base::StrCat("anchor ", version));
  Apply(machine_->OnAnchor(kube::ObjectRef{"ns", found->first, found->second.uid, version}, now_),
        api);
}

bool Agent::HasEvent(const ApiServer& api) const {
  return granted_ && watch_ && !api.log().empty() && api.log().back().version > *watch_;
}

void Agent::Event(const ApiServer& api) {
  for (const ApiServer::Event& event : api.log()) {
    if (event.version <= *watch_) continue;
    watch_ = event.version;
    fed_name_ = event.name;
    fed_uid_ = event.uid;
    fed_version_ = event.version;
    seen_before_ = machine_->seen_version();
    const std::string version = std::to_string(event.version);
    Note(base::StrCat("event ", version));
    Apply(machine_->OnEvent(event.type, {"ns", fed_name_, fed_uid_, version}, now_), api);
    if (machine_->seen_version() != seen_before_ && machine_->position_valid()) {
      outbox_->Seen(0, machine_->history(), machine_->seen_version(), now_);
    }
    break;
  }
  Settle(api);
}

void Agent::Page(const ApiServer& api) {
  const std::string token = *std::exchange(list_, std::nullopt);
  uint64_t version = api.version();
  std::string after;
  if (const size_t slash = token.find('/'); slash != std::string::npos) {
    version = std::stoull(token.substr(0, slash));
    after = token.substr(slash + 1);
  }
  Note(base::StrCat("page ", version, after));
  const Objects* objects = api.Exact(version);
  if (objects == nullptr) {
    Apply(machine_->OnListFailed(Expired(), now_), api);
    return Settle(api);
  }
  std::string next;
  size_t items = 0;
  for (auto one = objects->upper_bound(after); one != objects->end(); ++one) {
    if (items == options_.page_items) {
      next = base::StrCat(version, "/", after);
      break;
    }
    ++items;
    after = fed_name_ = one->first;
    fed_uid_ = one->second.uid;
    fed_version_ = one->second.version;
    Apply(machine_->OnListItem({"ns", fed_name_, fed_uid_, std::to_string(fed_version_)}, now_),
          api);
  }
  Apply(machine_->OnListPage(std::to_string(version), next, now_), api);
  CheckWants(api);
  Settle(api);
}

void Agent::Emit(kube::EventType type) {
  v1::Change change;
  const bool gone = type == kube::EventType::kDeleted;
  change.set_operation(gone ? v1::Change::DELETE : v1::Change::UPSERT);
  change.set_name_space("ns");
  change.set_name(fed_name_);
  change.set_uid(fed_uid_);
  change.set_resource_version(std::to_string(fed_version_));
  change.set_history(machine_->history());
  if (!gone) {
    change.set_body(BodyOf(fed_name_, {fed_uid_, fed_version_}));
    change.set_content_hash(base::ToBytes(base::Sha256Trunc128(change.body())));
  }
  outbox_->Change(0, std::move(change), seen_before_, now_);
}

void Agent::EmitItem() {
  const std::string body = BodyOf(fed_name_, {fed_uid_, fed_version_});
  v1::SnapshotItem item;
  item.set_name_space("ns");
  item.set_name(fed_name_);
  item.set_uid(fed_uid_);
  item.set_resource_version(std::to_string(fed_version_));
  item.set_content_hash(base::ToBytes(base::Sha256Trunc128(body)));
  if (bodies_) item.set_body(body);
  outbox_->SnapshotItem(0, std::move(item), now_);
}

void Agent::ReadWanted(const ApiServer& api) {
  const std::string name = std::move(wanted_.front());
  wanted_.pop_front();
  const auto found = api.objects().find(name);
  std::optional<Object> object;
  if (found != api.objects().end()) object = found->second;
  answers_.emplace_back(name, object);
}

void Agent::Answer(const ApiServer& api) {
  const auto [name, object] = std::move(answers_.front());
  answers_.pop_front();
  Note(base::StrCat("body ", name, object ? object->version : 0));
  if (object) {
    fed_name_ = name;
    fed_uid_ = object->uid;
    fed_version_ = object->version;
    seen_before_ = machine_->seen_version();
    Emit(kube::EventType::kModified);
  }
  CheckWants(api);
  Settle(api);
}

void Agent::CheckWants(const ApiServer& api) {
  if (!awaiting_wants_ || !wanted_.empty() || !answers_.empty()) return;
  if (!outbox_->PagesAnswered(0)) return;
  awaiting_wants_ = false;
  Apply(machine_->OnWantsDone(now_), api);
}

bool Agent::HasBatch() const { return granted_ && outbox_->NextWake() <= now_; }

std::optional<v1::Batch> Agent::Drain() {
  anchors_of = machine_ ? &*machine_ : nullptr;
  auto batch = outbox_->Next(now_);
  anchors_of = nullptr;
  FAIRLEAD_CHECK(batch.ok());
  Note("drain");
  return *std::move(batch);
}

bool Agent::MayAudit() const { return watching() && !machine_->in_snapshot() && !list_; }

void Agent::Audit(const ApiServer& api) {
  Note("audit");
  Apply(machine_->Audit(now_), api);
  Settle(api);
}

void Agent::LoseApiServer(const ApiServer& api) {
  if (!granted_ || !begun_) return;
  const kube::ApiError lost = kube::TransportError(absl::UnavailableError("connection lost"));
  Note(base::StrCat("lost at ", api.version()));
  if (std::exchange(list_, std::nullopt)) Apply(machine_->OnListFailed(lost, now_), api);
  if (std::exchange(watch_, std::nullopt)) Apply(machine_->OnWatchFailed(lost, now_), api);
  // What was being read again is asked for again.
  while (!answers_.empty()) {
    if (machine_->in_snapshot()) wanted_.push_front(answers_.back().first);
    answers_.pop_back();
  }
  Settle(api);
  CheckWants(api);
  Settle(api);
}

void Agent::Print(std::string* out) const {
  out->append(
      base::StrCat(up_ ? "up" : "down", granted_ ? " granted" : "", begun_ ? " begun" : ""));
  if (seen_) {
    out->append(
        base::StrCat(" seen ", seen_->store_epoch(), ".", seen_->term(), ".", seen_->seq()));
  }
  for (const auto& [term, positions] : early_) {
    out->append(base::StrCat(" early ", term, positions.SerializeAsString()));
  }
  out->append(base::StrCat(" told ", base::ToBytes(told_), " snapshots ", snapshots_));
  if (list_) out->append(base::StrCat(" list ", *list_));
  if (watch_) out->append(base::StrCat(" watch ", *watch_));
  for (const std::string& name : wanted_) out->append(base::StrCat(" wanted ", name));
  for (const auto& [name, object] : answers_) {
    out->append(base::StrCat(" answer ", name, object ? object->version : 0));
  }
}

}  // namespace fairlead::model
