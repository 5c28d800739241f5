#include "agent/account/account.h"

#include <json/json.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/kube/absence.h"
#include "lib/kube/discovery.h"
#include "lib/kube/json_value.h"
#include "lib/log/log.h"
#include "lib/wire/scope.h"

namespace fairlead::agent {

namespace {

constexpr size_t kMaxAnswer = size_t{16} << 20;
constexpr base::Duration kRediscover = base::minutes(1);  // CRDs come and go
constexpr base::Duration kReport = base::seconds(30);
// Servers send a bookmark every minute: a watch that heard nothing for longer is told by itself.
constexpr base::Duration kQuiet = base::minutes(2);
constexpr size_t kMostOrders = 100;

bool IsOf(const v1::AuditOrder& order, const kube::ResourceType& type) {
  return order.resource().empty() ||
         (order.resource() == type.resource && order.group() == type.group);
}

uint32_t AgeOf(base::Time then, base::Time now) {
  return static_cast<uint32_t>(std::min<int64_t>(base::AgeMs(now - then), UINT32_MAX));
}

// Null when it is no JSON.
Json::Value Parsed(const std::string& body) {
  auto parsed = json::ParseJson(body);
  return parsed.ok() ? *std::move(parsed) : Json::Value();
}

}  // namespace

// One small request of the account's own.
class Account::Call : public net::ResponseHandler {
 public:
  Call(Account* owner, Answer answer) : owner_(owner), answer_(std::move(answer)) {}
  void OnHeaders(int status, const net::Headers&) override { status_ = status; }
  void OnData(std::string_view data) override {
    if (body_.size() + data.size() <= kMaxAnswer) body_.append(data);
  }
  void OnEnd(const absl::Status& why) override {
    done = true;
    if (status_ == 401) owner_->OnUnauthorized();
    if (!why.ok()) owner_->state_detail_ = std::string(base::View(why.message()));
    owner_->loop_->Post(
        [this, owner = owner_, alive = std::weak_ptr(owner_->alive_), ok = why.ok()] {
          if (!alive.lock()) return;
          answer_(ok ? status_ : 0, body_);
          std::erase_if(owner->calls_, [this](const auto& one) { return one.get() == this; });
        });
  }
  std::unique_ptr<net::HttpStream> stream;
  bool done = false;

 private:
  Account* owner_;
  Answer answer_;
  int status_ = 0;
  std::string body_;
};

Account::Account(const AccountOptions& options, std::unique_ptr<net::HttpTransport> transport,
                 AccountHost* host, base::Loop* loop)
    : options_(options),
      transport_(std::move(transport)),
      host_(host),
      loop_(loop),
      token_(options.access.token, options.access.token_file),
      backoff_({.first = base::milliseconds(500), .most = base::seconds(60)}, options.seed),
      random_(options.seed),
      api_calls_(transport_.get(), loop) {}

Account::~Account() {
  alive_.reset();
  StopWatches();
  calls_.clear();
}

void Account::Start() { Probe(); }

net::Headers Account::RequestHeaders() {
  net::Headers headers = {{"accept", "application/json"}, {"user-agent", "fairlead-agent"}};
  const std::string& token = token_.Get(loop_->clock().Now());
  // Credentials only ever go over TLS.
  if (!token.empty() && options_.access.scheme == "https") {
    headers.emplace_back("authorization", base::StrCat("Bearer ", token));
  }
  return headers;
}

void Account::Get(std::string target, std::string accept, Answer answer) {
  calls_.push_back(std::make_unique<Call>(this, std::move(answer)));
  Call* call = calls_.back().get();
  net::Headers headers = RequestHeaders();
  if (!accept.empty()) headers[0].second = std::move(accept);
  call->stream = transport_->Start({"GET", std::move(target), std::move(headers), ""}, {}, call);
}

// A cluster that may not tell its uid (403) is claimed without one.
void Account::Probe() {
  Get("/api/v1/namespaces/kube-system", "", [this](int status, const std::string& body) {
    if (status != 200 && status != 403) {
      log::Warn("cluster does not answer",
                {{"account", name()}, {"status", status}, {"detail", state_detail_}});
      probe_timer_ = loop_->After(backoff_.Next(), [this] { Probe(); });
      return;
    }
    v1::Claim claim;
    claim.set_account_name(name());
    claim.set_api_host(base::StrCat(options_.access.host, ":", options_.access.port));
    if (status == 200) {
      claim.set_cluster_uid(kube::StringAt(kube::At(Parsed(body), "metadata"), "uid"));
    }
    Get("/version", "", [this, claim](int version_status, const std::string& version) mutable {
      if (version_status == 200) {
        claim.set_kubernetes_version(kube::StringAt(Parsed(version), "gitVersion"));
      }
      backoff_.Reset();
      host_->OnClaim(claim);
    });
  });
}

bool Account::Current(const std::string& uid, uint64_t term) const {
  return granted_ && uid == grant_.account_uid() && term == grant_.term();
}

void Account::OnGrant(const v1::Grant& grant) {
  StopWatches();
  grant_ = grant;
  granted_ = true;
  scope_ = wire::ScopeRulesOf(grant.scope());
  positions_.clear();
  positions_complete_ = false;
  wire::Outbox::Shard shard{grant.account_uid(), grant.shard(),    grant.store_epoch(),
                            grant.term(),        grant.last_seq(), grant.prefix()};
  outbox_ = std::make_unique<wire::Outbox>(shard, options_.outbox);
  log::Info("granted", {{"account", name()}, {"term", grant.term()}, {"seq", grant.last_seq()}});
  // Positions come on another stream and may be faster than their grant.
  const auto early = early_.extract({grant.term(), grant.account_uid()});
  // Those of a later grant may be here, too.
  std::erase_if(early_, [&](const auto& one) {
    const auto& [term, uid] = one.first;
    return term <= grant.term() || uid != grant.account_uid();
  });
  if (early.empty()) return;
  for (const v1::Positions& one : early.mapped()) OnPositions(one);
}

void Account::OnPositions(const v1::Positions& positions) {
  if (!Current(positions.account_uid(), positions.term())) {
    constexpr size_t kMostEarly = 1000;
    auto& kept = early_[{positions.term(), positions.account_uid()}];
    if (kept.size() < kMostEarly) kept.push_back(positions);
    return;
  }
  for (const v1::Position& one : positions.positions()) positions_.push_back(one);
  if (!positions.last() || positions_complete_) return;
  positions_complete_ = true;
  Discover();
}

// Positions of a later term may be here already: their stream is another one.
void Account::OnRevoke(uint64_t term, const std::string& why) {
  if (granted_ && term == grant_.term()) EndGrant(why);
}

void Account::OnLost(const std::string& why) {
  early_.clear();
  if (granted_) EndGrant(why);
}

void Account::EndGrant(const std::string& why) {
  log::Info("grant ended", {{"account", name()}, {"reason", why}});
  StopWatches();
  granted_ = false;
  grant_.Clear();
}

void Account::StopWatches() {
  discover_timer_.reset();
  flush_timer_.reset();
  flush_at_ = base::Time::max();
  state_timer_.reset();
  report_timer_.reset();
  orders_.clear();
  watchers_.clear();
  outbox_.reset();
  paused_ = false;
}

void Account::Discover() {
  const uint64_t term = grant_.term();
  Get("/api", kube::kDiscoveryAccept, [this, term](int status, const std::string& core) {
    if (!granted_ || term != grant_.term()) return;
    Get("/apis", kube::kDiscoveryAccept,
        [this, term, status, core](int groups_status, const std::string& groups) {
          if (!granted_ || term != grant_.term()) return;
          kube::Discovery discovery;
          absl::Status read =
              absl::UnavailableError(base::StrCat("discovery: HTTP ", status, ", ", groups_status));
          if (status == 200 && groups_status == 200) {
            read = kube::ParseDiscovery(core, &discovery);
            if (read.ok()) read = kube::ParseDiscovery(groups, &discovery);
          }
          if (!read.ok()) {
            log::Warn("discovery failed", {{"account", name()}, {"error", read}});
            discover_timer_ = loop_->After(backoff_.Next(), [this] { Discover(); });
            return;
          }
          OnDiscovered(discovery);
        });
  });
}

// With kinds that have rows and are not in it: each is asked for until it is back, or proven gone.
kube::Discovery Account::WithStored(const kube::Discovery& discovery) const {
  kube::Discovery all = discovery;
  for (const v1::Position& one : positions_) {
    const v1::Kind& kind = one.kind();
    const bool known = std::any_of(all.resources.begin(), all.resources.end(), [&](const auto& of) {
      return of.group == kind.group() && of.resource == kind.resource();
    });
    if (known || one.count() == 0) continue;
    all.resources.push_back(
        {kind.group(), kind.version(), kind.resource(), kind.kind(), kind.namespaced()});
  }
  return all;
}

// Only adds watches: what discovery lacks now may be back in a minute (invariant 4).
void Account::OnDiscovered(const kube::Discovery& discovery) {
  const kube::WatchPlan plan = kube::PlanWatches(scope_, WithStored(discovery));
  for (const kube::WatchTargetSpec& target : plan.watches) {
    const bool known = std::any_of(watchers_.begin(), watchers_.end(), [&](const auto& one) {
      return one->target().type.group == target.type.group &&
             one->target().type.resource == target.type.resource &&
             one->target().name_space == target.name_space;
    });
    if (known) continue;
    watchers_.push_back(
        std::make_unique<Watcher>(target, &scope_, this, base::NextRandom(&random_)));
    std::optional<v1::Position> position;
    for (const v1::Position& one : positions_) {
      if (one.kind().group() == target.type.group &&
          one.kind().resource() == target.type.resource && one.watch() == target.name_space) {
        position = one;
      }
    }
    watchers_.back()->Start(position);
    for (const v1::AuditOrder& order : orders_) {
      if (IsOf(order, target.type)) watchers_.back()->OnAuditOrder();
    }
  }
  backoff_.Reset();
  OnWatchState();
  std::set<kube::ResourceType> missing;
  for (const auto& watcher : watchers_) {
    const bool unknown = watcher->state() == kube::WatchState::kMissing;
    if (unknown && kube::Unserved(watcher->target().type, discovery)) {
      missing.insert(watcher->target().type);
    }
  }
  for (const kube::ResourceType& type : missing) LookForDefinition(type);
  discover_timer_ = loop_->After(kRediscover, [this] { Discover(); });
}

void Account::LookForDefinition(const kube::ResourceType& type) {
  const uint64_t term = grant_.term();
  Get(kube::DefinitionTarget(type), "", [this, term, type](int status, const std::string& found) {
    if (status != 200 || !granted_ || term != grant_.term()) return;
    Get(kube::ApiServicesTarget(), "",
        [this, term, type, found](int services_status, const std::string& services) {
          if (services_status != 200 || !granted_ || term != grant_.term()) return;
          const auto version = kube::ProvenGone(type, found, services);
          if (!version) return;
          log::Info("the definition of a kind is gone",
                    {{"account", name()}, {"resource", type.resource}, {"group", type.group}});
          for (const auto& watcher : watchers_) {
            if (watcher->target().type == type) watcher->DeclareGone(*version);
          }
        });
  });
}

void Account::OutboxChanged() {
  if (!paused_ && outbox_->congested()) {
    paused_ = true;
    for (const auto& watcher : watchers_) watcher->SetPaused(true);
  }
  ArmFlush();
}

void Account::OnRoom() {
  if (outbox_) Flush();
}

void Account::ArmFlush() {
  if (!host_->MaySend()) return;
  const base::Time wake = outbox_->NextWake();
  if (wake >= flush_at_ && flush_timer_) return;
  flush_timer_.reset();
  flush_at_ = wake;
  if (wake == base::Time::max()) return;
  const base::Duration wait = std::max(wake - loop_->clock().Now(), base::Duration::zero());
  flush_timer_ = loop_->After(wait, [this] { Flush(); });
}

void Account::Flush() {
  flush_at_ = base::Time::max();
  const std::unique_ptr<base::Timer> fired = std::move(flush_timer_);
  while (host_->MaySend()) {
    auto batch = outbox_->Next(loop_->clock().Now());
    if (!batch.ok()) {
      log::Error("batch could not be made", {{"account", name()}, {"error", batch.status()}});
      break;
    }
    if (!batch->has_value()) break;
    host_->SendBatch(**std::move(batch));
  }
  if (paused_ && outbox_->pending_bytes() < options_.outbox.pending_bytes / 2) {
    paused_ = false;
    for (const auto& watcher : watchers_) watcher->SetPaused(false);
  }
  ArmFlush();
}

void Account::OnAck(const v1::Ack& ack) {
  if (!Current(ack.account_uid(), ack.term())) return;
  for (const v1::Refused& refused : ack.refused()) {
    log::Warn("row refused by the store", {{"account", name()},
                                           {"resource", refused.kind().resource()},
                                           {"namespace", refused.name_space()},
                                           {"name", refused.name()},
                                           {"reason", refused.reason()}});
    for (const auto& watcher : watchers_) {
      const kube::ResourceType& type = watcher->target().type;
      if (type.group == refused.kind().group() && type.resource == refused.kind().resource()) {
        watcher->OnRefused(refused.name_space(), refused.name());
      }
    }
  }
  outbox_->OnAck(ack);
  Flush();
}

void Account::OnWant(const v1::Want& want) {
  if (!Current(want.account_uid(), want.term())) return;
  for (const auto& watcher : watchers_) watcher->OnWant(want);
}

void Account::OnAdmit(const v1::SnapshotAdmit& admit) {
  if (!Current(admit.account_uid(), admit.term())) return;
  for (const auto& watcher : watchers_) watcher->OnAdmitted(admit.snapshot_id());
}

void Account::OnAuditOrder(const v1::AuditOrder& order) {
  if (!Current(order.account_uid(), order.term())) return;
  if (orders_.size() < kMostOrders) orders_.push_back(order);
  for (const auto& watcher : watchers_) {
    if (IsOf(order, watcher->target().type)) watcher->OnAuditOrder();
  }
}

void Account::OnSnapshotDone(const v1::SnapshotDone& done) {
  if (!Current(done.account_uid(), done.term())) return;
  for (const auto& watcher : watchers_) {
    watcher->OnSnapshotDone(done.snapshot_id(), done.verified());
  }
}

void Account::StartApiCall(uint64_t call, const v1::ApiRequest& request, std::string body,
                           ApiCallEvents events) {
  if (Current(request.account_uid(), request.term())) {
    return api_calls_.Start(call, request, std::move(body), RequestHeaders(), std::move(events));
  }
  loop_->Post([on_end = std::move(events.on_end)] {
    on_end(absl::UnavailableError("the account is another agent's by now"));
  });
}

void Account::AskSnapshot(const kube::WatchTargetSpec& target, const std::string& snapshot_id,
                          kube::SnapshotReason reason) {
  v1::SnapshotAsk ask;
  ask.set_account_uid(grant_.account_uid());
  ask.set_shard(grant_.shard());
  ask.set_term(grant_.term());
  ask.set_snapshot_id(snapshot_id);
  ask.set_reason(std::string(kube::SnapshotReasonName(reason)));
  ask.mutable_kind()->set_group(target.type.group);
  ask.mutable_kind()->set_resource(target.type.resource);
  ask.set_watch(target.name_space);
  host_->AskSnapshot(std::move(ask));
}

void Account::OnWatchState() {
  if (state_timer_) return;
  state_timer_ = loop_->After(base::seconds(1), [this] {
    const std::unique_ptr<base::Timer> fired = std::move(state_timer_);
    SendState();
  });
}

void Account::SendState() {
  v1::AccountStatus status;
  status.set_account_uid(grant_.account_uid());
  status.set_state("Running");
  for (const auto& watcher : watchers_) FillKindState(*watcher, &status);
  FillUnwatched(&status);
  host_->SendStatus(std::move(status));
  report_timer_ = loop_->After(kReport, [this] {
    const std::unique_ptr<base::Timer> fired = std::move(report_timer_);
    SendState();
  });
}

// What waits to be committed is not in the rows yet.
void Account::FillKindState(const Watcher& watcher, v1::AccountStatus* status) const {
  const base::Time now = loop_->clock().Now();
  const kube::WatchState state = watcher.told_state();
  std::optional<uint32_t> fresh;
  if (watcher.heard()) fresh = AgeOf(std::min(*watcher.heard(), outbox_->UnackedSince()), now);
  if (state == kube::WatchState::kWatching && fresh && *fresh <= base::AgeMs(kQuiet)) {
    status->set_fresh_ms(std::max(status->fresh_ms(), *fresh));
    return;
  }
  v1::KindState* kind = status->add_kinds();
  kind->set_group(watcher.target().type.group);
  kind->set_resource(watcher.target().type.resource);
  kind->set_watch(watcher.target().name_space);
  kind->set_state(std::string(kube::WatchStateName(state)));
  if (state != kube::WatchState::kWatching) kind->set_detail(watcher.detail());
  if (fresh) kind->set_fresh_ms(*fresh);
}

// Rows of what is not watched are not as fresh as the rest.
void Account::FillUnwatched(v1::AccountStatus* status) const {
  std::set<std::array<std::string, 3>> watched;
  for (const auto& watcher : watchers_) {
    const kube::WatchTargetSpec& target = watcher->target();
    watched.insert({target.type.group, target.type.resource, target.name_space});
  }
  for (const v1::Position& one : positions_) {
    if (watched.contains({one.kind().group(), one.kind().resource(), one.watch()})) continue;
    v1::KindState* kind = status->add_kinds();
    kind->set_group(one.kind().group());
    kind->set_resource(one.kind().resource());
    kind->set_watch(one.watch());
    kind->set_state("Unwatched");
  }
}

std::map<kube::WatchState, int> Account::watch_states() const {
  std::map<kube::WatchState, int> states;
  for (const auto& watcher : watchers_) ++states[watcher->state()];
  return states;
}

}  // namespace fairlead::agent
