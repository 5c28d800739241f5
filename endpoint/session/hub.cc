#include "endpoint/session/hub.h"

#include <algorithm>
#include <utility>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/session/convert.h"
#include "endpoint/store/store.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/wire/codec.h"

namespace fairlead::endpoint {

namespace v1 = fairlead::agent::v1;

namespace {

constexpr base::Duration kTick = base::milliseconds(200);
constexpr uint64_t kTicksPerPublish = 5;
constexpr int kPositionsPerMessage = 200;
constexpr int kMostClaims = 2000;

base::U128 Number(const std::string& bytes) {
  base::U128 value;
  base::FromBytes(bytes, &value);
  return value;
}

void FillPosition(const store::Position& from, v1::Position* to) {
  to->mutable_kind()->set_group(from.kind.group);
  to->mutable_kind()->set_resource(from.kind.resource);
  to->mutable_kind()->set_kind(from.kind.kind);
  to->mutable_kind()->set_version(from.kind.version);
  to->mutable_kind()->set_namespaced(from.kind.namespaced);
  to->set_watch(from.watch);
  to->set_history(std::max<uint64_t>(1, from.history));
  to->set_resource_version(from.resource_version);
  to->set_count(from.count);
  to->set_sum(base::ToBytes(from.sum));
  to->set_rules_hash(from.rules_hash);
  for (const store::Anchor& anchor : from.anchors) {
    v1::Anchor* one = to->add_anchors();
    one->set_name_space(anchor.object.name_space);
    one->set_name(anchor.object.name);
    one->set_uid(anchor.uid);
    one->set_resource_version(anchor.resource_version);
  }
}

}  // namespace

// One agent process: its Control stream, and its Changes stream once it has one.
struct Hub::Session : wire::StreamHandler<v1::ControlUp> {
  void OnMessage(v1::ControlUp message) override { hub->OnControlMessage(this, message); }
  void OnClosed(const absl::Status& why) override { hub->CloseSession(id, why.ToString()); }
  Hub* hub = nullptr;
  SessionId id = 0;
  wire::Peer peer;
  std::unique_ptr<wire::StreamSender<v1::ControlDown>> control;
  Changes* changes = nullptr;
  bool greeted = false;
  std::string session_id;
  v1::Hello hello;
  std::map<std::string, v1::Claim> claims;
  std::map<base::U128, v1::AccountStatus> statuses;
};

struct Hub::Changes : wire::StreamHandler<v1::ChangesUp> {
  void OnMessage(v1::ChangesUp message) override {
    hub->OnChangesMessage(this, std::move(message));
  }
  void OnClosed(const absl::Status& why) override {
    if (session != nullptr) return hub->CloseSession(session->id, why.ToString());
    hub->CloseChanges(this);
  }
  Hub* hub = nullptr;
  wire::Peer peer;
  std::unique_ptr<wire::StreamSender<v1::ChangesDown>> sender;
  Session* session = nullptr;
};

struct Hub::Grant {
  uint64_t number = 0;
  base::U128 account;
  SessionId session = 0;
  wire::ShardLedger ledger;
  bool keep_secret_data = false;
  store::DeletionProtection protection;
  SnapshotKinds snapshots;
};

Hub::Hub(const HubOptions& options, store::WriterQueue* writer, store::Reader* reader,
         const Authority* authority, FleetBoard* board, base::Loop* loop)
    : options_(options),
      writer_(writer),
      reader_(reader),
      authority_(authority),
      board_(board),
      loop_(loop),
      leases_({}),
      admission_(options.concurrent_snapshots) {}

Hub::~Hub() = default;

void Hub::Start() { Tick(); }

void Hub::Tick() {
  Carry(leases_.Tick(now()));
  // Standbys come and go without a grant that would tell of it.
  if (++ticks_ % kTicksPerPublish == 0) {
    for (const auto& [uid, account] : accounts_) Publish(uid);
  }
  tick_ = loop_->After(kTick, [this] { Tick(); });
}

void Hub::Drain(const std::string& reason) {
  v1::ControlDown message;
  message.mutable_drain()->set_reason(reason);
  for (const auto& [id, session] : sessions_) {
    if (session->control) session->control->Send(message);
  }
}

double Hub::Load() const {
  return std::min(1.0, static_cast<double>(writer_->queued_bytes()) /
                           static_cast<double>(options_.queue_bytes));
}

// ------------------------------------------------------------------------------- accounts

void Hub::PutAccount(const registry::Account& account) {
  const auto known = accounts_.find(account.uid);
  const bool changed = known != accounts_.end() && known->second.hash != account.hash;
  accounts_[account.uid] = account;
  wire::LeaseTable::Account lease{account.uid,
                                  account.name,
                                  account.spec.pinned_cluster_uid,
                                  {account.spec.identities.begin(), account.spec.identities.end()}};
  if (account.spec.paused) lease.identities.clear();
  Carry(leases_.PutAccount(lease, now()));
  if (changed && grants_.contains(account.uid)) Break(account.uid, "the account's rules changed");
}

void Hub::RemoveAccount(const base::U128& uid, const std::string&) {
  Carry(leases_.RemoveAccount(uid, now()));
  DropGrant(uid);
  accounts_.erase(uid);
  board_->Remove(uid);
}

bool Hub::Trusted(const std::string& identity) const {
  return std::any_of(accounts_.begin(), accounts_.end(), [&](const auto& one) {
    const auto& trusted = one.second.spec.identities;
    return std::find(trusted.begin(), trusted.end(), identity) != trusted.end();
  });
}

// ------------------------------------------------------------------------------- enrolment

void Hub::OnEnroll(const wire::Peer& peer, const v1::EnrollRequest& request,
                   std::function<void(absl::StatusOr<v1::EnrollResponse>)> done) {
  if (!ValidIdentity(request.identity())) {
    return done(absl::InvalidArgumentError("identity: 1 to 63 letters, digits, '-', '_' and '.'"));
  }
  // Signed before the token is spent, so that a bad request costs no token.
  auto signed_certificate = authority_->Sign(request.identity(), request.csr_pem());
  if (!signed_certificate.ok()) return done(signed_certificate.status());
  if (request.proof_case() == v1::EnrollRequest::kCurrentCertificate) {
    if (peer.identity != request.identity()) {
      return done(absl::PermissionDeniedError(
          "the current certificate is of another identity, or there is none"));
    }
    if (!Trusted(peer.identity)) {
      return done(absl::PermissionDeniedError("the identity was revoked: no account trusts it"));
    }
    log::Info("certificate renewed", {{"identity", peer.identity}});
    return done(std::move(signed_certificate));
  }
  if (request.proof_case() != v1::EnrollRequest::kToken) {
    return done(
        absl::PermissionDeniedError("a one-time token or the current certificate is needed"));
  }
  const absl::Status queued =
      writer_->Do([loop = loop_, token = request.token(), identity = request.identity(), done,
                   answer = *std::move(signed_certificate)](store::Store& store) {
        const absl::Status spent = store.SpendToken(token, identity);
        loop->Post([spent, done, answer, identity] {
          if (!spent.ok()) {
            log::Warn("enrolment refused", {{"identity", identity}, {"reason", spent}});
            return done(spent);
          }
          log::Info("enrolled", {{"identity", identity}});
          done(answer);
        });
      });
  if (!queued.ok()) done(queued);
}

// ------------------------------------------------------------------------------- sessions

wire::StreamHandler<v1::ControlUp>* Hub::OnControl(
    const wire::Peer& peer, std::unique_ptr<wire::StreamSender<v1::ControlDown>> sender) {
  auto session = std::make_unique<Session>();
  session->hub = this;
  session->id = next_session_++;
  session->peer = peer;
  session->control = std::move(sender);
  session->session_id = base::ToBytes(base::RandomU128());
  Session* handler = session.get();
  sessions_[handler->id] = std::move(session);
  return handler;
}

void Hub::OnControlMessage(Session* session, const v1::ControlUp& message) {
  if (!session->greeted && !message.has_hello()) return CloseSession(session->id, "no Hello");
  leases_.Heard(session->id, now());
  switch (message.message_case()) {
    case v1::ControlUp::kHello:
      return OnHello(session, message.hello());
    case v1::ControlUp::kBeat: {
      v1::ControlDown beat;
      beat.mutable_beat()->set_number(message.beat().number());
      return session->control->Send(std::move(beat));
    }
    case v1::ControlUp::kAccountStatus:
      return OnStatus(session, message.account_status());
    case v1::ControlUp::kClaims: {
      std::vector<wire::LeaseTable::Claim> claims;
      for (const v1::Claim& one : message.claims().claims()) {
        if (session->claims.size() >= kMostClaims) break;
        session->claims[one.account_name()] = one;
        claims.push_back({one.account_name(), one.cluster_uid()});
      }
      return Carry(leases_.AddClaims(session->id, claims, now()));
    }
    case v1::ControlUp::kDrainDone:
    case v1::ControlUp::MESSAGE_NOT_SET:
      return;
  }
}

void Hub::OnHello(Session* session, const v1::Hello& hello) {
  if (session->greeted) return CloseSession(session->id, "a second Hello");
  const auto& versions = hello.protocol_versions();
  if (std::find(versions.begin(), versions.end(), 1U) == versions.end()) {
    return CloseSession(session->id, "no protocol version in common");
  }
  session->greeted = true;
  session->hello = hello;
  const uint32_t interval = wire::BeatIntervalMs(sessions_.size());
  v1::ControlDown message;
  v1::Welcome* welcome = message.mutable_welcome();
  welcome->set_protocol_version(1);
  welcome->set_codec(v1::CODEC_ZSTD);
  welcome->set_hash_algorithm(v1::HASH_SHA256_128);
  welcome->set_session_id(session->session_id);
  welcome->set_beat_interval_ms(interval);
  welcome->set_lease_ms(wire::LeaseMs(interval));
  welcome->set_max_message_bytes(4 << 20);
  welcome->set_endpoint_version(options_.version);
  session->control->Send(std::move(message));
  log::Info("agent connected", {{"identity", session->peer.identity},
                                {"instance", hello.instance_id()},
                                {"version", hello.agent_version()},
                                {"address", session->peer.address}});
  leases_.OpenSession(session->id, session->peer.identity,
                      base::milliseconds(wire::LeaseMs(interval)), now());
  std::vector<wire::LeaseTable::Claim> claims;
  for (const v1::Claim& one : hello.claims()) {
    if (session->claims.size() >= kMostClaims) break;
    session->claims[one.account_name()] = one;
    claims.push_back({one.account_name(), one.cluster_uid()});
  }
  Carry(leases_.AddClaims(session->id, claims, now()));
}

void Hub::OnStatus(Session* session, const v1::AccountStatus& status) {
  const auto grant = grants_.find(Number(status.account_uid()));
  if (grant == grants_.end() || grant->second->session != session->id) return;
  session->statuses[grant->first] = status;
  Publish(grant->first);
}

// The stream that ended may be the one whose callback we are in: what goes, goes later.
void Hub::CloseSession(SessionId id, const std::string& why) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const std::shared_ptr<Session> session = std::move(found->second);
  sessions_.erase(found);
  log::Info("agent gone", {{"identity", session->peer.identity},
                           {"instance", session->hello.instance_id()},
                           {"reason", why}});
  session->control.reset();
  if (session->changes != nullptr) CloseChanges(session->changes);
  std::vector<base::U128> held;
  for (const auto& [account, grant] : grants_) {
    if (grant->session == id) held.push_back(account);
  }
  for (const base::U128& account : held) DropGrant(account);
  Carry(leases_.CloseSession(id, now()));
  for (const base::U128& account : held) Publish(account);
  loop_->Post([session] {});
}

wire::StreamHandler<v1::ChangesUp>* Hub::OnChanges(
    const wire::Peer& peer, std::unique_ptr<wire::StreamSender<v1::ChangesDown>> sender) {
  auto changes = std::make_unique<Changes>();
  changes->hub = this;
  changes->peer = peer;
  changes->sender = std::move(sender);
  changes_.push_back(std::move(changes));
  return changes_.back().get();
}

void Hub::CloseChanges(Changes* changes) {
  const auto found = std::find_if(changes_.begin(), changes_.end(),
                                  [&](const auto& one) { return one.get() == changes; });
  if (found == changes_.end()) return;
  const std::shared_ptr<Changes> gone = std::move(*found);
  changes_.erase(found);
  gone->sender.reset();
  gone->session = nullptr;
  loop_->Post([gone] {});
}

void Hub::OnChangesMessage(Changes* changes, v1::ChangesUp message) {
  if (changes->session == nullptr) {
    if (!message.has_open()) return CloseChanges(changes);
    for (const auto& [id, session] : sessions_) {
      // The session's id alone does not open its stream: the certificate must be the same, too.
      if (session->session_id != message.open().session_id() ||
          session->peer.identity != changes->peer.identity || session->changes != nullptr) {
        continue;
      }
      session->changes = changes;
      changes->session = session.get();
      for (const auto& [account, grant] : grants_) {
        if (grant->session == id) SendPositions(session.get(), *grant);
      }
      return;
    }
    return CloseChanges(changes);
  }
  leases_.Heard(changes->session->id, now());
  if (message.has_batch()) return OnBatch(changes->session, message.batch());
  if (message.has_snapshot_ask()) return OnAsk(changes->session, message.snapshot_ask());
}

// ------------------------------------------------------------------------------- grants

void Hub::Carry(const wire::LeaseTable::Actions& actions) {
  for (const wire::LeaseTable::Action& action : actions) {
    switch (action.kind) {
      case wire::LeaseTable::Action::Kind::kBegin:
        BeginTerm(action);
        break;
      case wire::LeaseTable::Action::Kind::kRevoke:
        Revoke(action);
        break;
      case wire::LeaseTable::Action::Kind::kRefuse: {
        const auto session = sessions_.find(action.session);
        if (session == sessions_.end()) break;
        v1::ControlDown message;
        message.mutable_claim_refused()->set_account_name(action.account_name);
        message.mutable_claim_refused()->set_reason(action.reason);
        message.mutable_claim_refused()->set_detail(action.detail);
        session->second->control->Send(std::move(message));
        break;
      }
    }
  }
}

void Hub::BeginTerm(const wire::LeaseTable::Action& action) {
  const auto session = sessions_.find(action.session);
  if (session == sessions_.end()) return leases_.BeginFailed(action.account, action.attempt, now());
  // An agent that saw more than the store has says that commits were lost.
  bool raise = false;
  if (const auto shards = reader_->Shards(action.account); shards.ok() && !shards->empty()) {
    for (const v1::ShardSeen& seen : session->second->hello.seen()) {
      raise = raise || (Number(seen.account_uid()) == action.account &&
                        seen.store_epoch() == shards->front().epoch &&
                        seen.seq() > shards->front().last_seq);
    }
  }
  if (raise)
    log::Warn("the store lost commits an agent has seen; its shard begins a new epoch",
              {{"account", action.account_name}});
  const absl::Status queued = writer_->NewTerm(
      {action.account, 0}, session->second->hello.instance_id(), raise,
      [this, alive = std::weak_ptr(alive_), loop = loop_,
       action](absl::StatusOr<store::ShardState> state) {
        loop->Post([this, alive, action, state = std::move(state)] {
          if (!alive.lock()) return;
          if (!state.ok()) {
            log::Error("no term for a grant",
                       {{"account", action.account_name}, {"error", state.status()}});
            return leases_.BeginFailed(action.account, action.attempt, now());
          }
          if (leases_.Began(action.account, action.attempt, state->term)) SendGrant(action, *state);
        });
      });
  if (!queued.ok()) leases_.BeginFailed(action.account, action.attempt, now());
}

void Hub::SendGrant(const wire::LeaseTable::Action& action, const store::ShardState& state) {
  const auto session = sessions_.find(action.session);
  const auto account = accounts_.find(action.account);
  if (session == sessions_.end() || account == accounts_.end()) return;
  const registry::AccountSpec& spec = account->second.spec;
  wire::ShardLedger::Options ledger;
  ledger.credit_bytes = options_.shard_credit_bytes;
  DropGrant(action.account);
  grants_[action.account] = std::make_unique<Grant>(
      Grant{next_grant_++,
            action.account,
            action.session,
            wire::ShardLedger({state.epoch, state.term, state.last_seq}, ledger),
            spec.keep_secret_data,
            {spec.max_delete_percent, spec.max_delete_count},
            {}});
  v1::ControlDown message;
  v1::Grant* grant = message.mutable_grant();
  grant->set_account_name(account->second.name);
  grant->set_account_uid(base::ToBytes(action.account));
  grant->set_store_epoch(state.epoch);
  grant->set_term(state.term);
  grant->set_last_seq(state.last_seq);
  *grant->mutable_scope() = ScopeOf(spec);
  grant->set_cut_rules_version(json::CutRules::kVersion);
  grant->set_pinned_cluster_uid(spec.pinned_cluster_uid);
  grant->set_kubeconfig_secret(spec.kubeconfig_secret);
  session->second->control->Send(std::move(message));
  log::Info("granted", {{"account", account->second.name},
                        {"identity", session->second->peer.identity},
                        {"instance", session->second->hello.instance_id()},
                        {"term", state.term}});
  if (session->second->changes != nullptr)
    SendPositions(session->second.get(), *grants_[action.account]);
  Publish(action.account);
}

void Hub::SendPositions(Session* session, const Grant& grant) {
  const auto positions = reader_->Positions({grant.account, 0}, true);
  if (!positions.ok())
    return Break(grant.account, base::StrCat("positions: ", positions.status().ToString()));
  size_t next = 0;
  do {
    v1::ChangesDown message;
    v1::Positions* part = message.mutable_positions();
    part->set_account_uid(base::ToBytes(grant.account));
    part->set_store_epoch(grant.ledger.grant().store_epoch);
    part->set_term(grant.ledger.grant().term);
    for (int i = 0; i < kPositionsPerMessage && next < positions->size(); ++i) {
      FillPosition((*positions)[next++], part->add_positions());
    }
    part->set_last(next == positions->size());
    session->changes->sender->Send(std::move(message));
  } while (next < positions->size());
}

void Hub::Revoke(const wire::LeaseTable::Action& action) {
  DropGrant(action.account);
  Publish(action.account);
  const auto session = sessions_.find(action.session);
  if (session == sessions_.end() || action.term == 0) return;
  v1::ControlDown message;
  message.mutable_revoke()->set_account_uid(base::ToBytes(action.account));
  message.mutable_revoke()->set_term(action.term);
  message.mutable_revoke()->set_reason(action.reason);
  session->second->control->Send(std::move(message));
}

void Hub::Break(const base::U128& account, const std::string& why) {
  const auto known = accounts_.find(account);
  log::Warn("grant begins anew",
            {{"account", known == accounts_.end() ? "" : known->second.name}, {"reason", why}});
  DropGrant(account);
  Carry(leases_.Restart(account, why, now()));
}

void Hub::DropGrant(const base::U128& account) {
  const auto grant = grants_.find(account);
  if (grant == grants_.end()) return;
  const uint64_t number = grant->second->number;
  grants_.erase(grant);
  Admit(admission_.OwnerGone(number));
}

// ------------------------------------------------------------------------------- changes

void Hub::OnBatch(Session* session, const v1::Batch& batch) {
  const base::U128 account = Number(batch.account_uid());
  const auto found = grants_.find(account);
  if (found == grants_.end() || found->second->session != session->id) return;
  Grant& grant = *found->second;
  using Verdict = wire::ShardLedger::Verdict;
  switch (grant.ledger.Offer({batch.store_epoch(), batch.term(), 0}, batch.seq(),
                             batch.payload().size())) {
    case Verdict::kAccept:
      break;
    case Verdict::kStale:
    case Verdict::kDuplicate:
      return;
    case Verdict::kGap:
      return Break(account, "a batch is missing");
    case Verdict::kOverrun:
      return Break(account, "more was sent than the credit allows");
  }
  v1::Payload payload;
  const absl::Status decoded =
      wire::DecodePayload(batch.codec(), batch.raw_bytes(), batch.payload(), &payload);
  if (!decoded.ok()) return Break(account, decoded.ToString());
  store::Batch stored;
  stored.shard = {account, 0};
  stored.epoch = batch.store_epoch();
  stored.term = batch.term();
  stored.seq = batch.seq();
  stored.protection = grant.protection;
  stored.bytes = batch.raw_bytes() + 1024;
  std::vector<store::Refused> refused;
  ConvertPayload(payload, grant.keep_secret_data, &objects_, &grant.snapshots, &stored, &refused);
  const absl::Status queued =
      writer_->Submit(std::move(stored), [this, alive = std::weak_ptr(alive_), loop = loop_,
                                          account, number = grant.number, seq = batch.seq(),
                                          refused = std::move(refused)](store::BatchResult result) {
        loop->Post([this, alive, account, number, seq, refused, result = std::move(result)] {
          if (alive.lock()) OnCommitted(account, number, seq, refused, result);
        });
      });
  if (!queued.ok()) Break(account, queued.ToString());
}

void Hub::OnCommitted(const base::U128& account, uint64_t number, uint64_t seq,
                      std::vector<store::Refused> refused, const store::BatchResult& result) {
  const auto found = grants_.find(account);
  if (found == grants_.end() || found->second->number != number) return;
  if (!result.status.ok()) return Break(account, result.status.ToString());
  Grant& grant = *found->second;
  grant.ledger.Committed(seq);
  const auto session = sessions_.find(grant.session);
  if (session == sessions_.end() || session->second->changes == nullptr) return;
  wire::StreamSender<v1::ChangesDown>& sender = *session->second->changes->sender;
  v1::ChangesDown message;
  v1::Ack* ack = message.mutable_ack();
  ack->set_account_uid(base::ToBytes(account));
  ack->set_store_epoch(grant.ledger.grant().store_epoch);
  ack->set_term(grant.ledger.grant().term);
  ack->set_seq(seq);
  ack->set_credit_bytes(grant.ledger.Credit(Load()));
  ack->set_flush_delay_ms(wire::FlushDelayMs(options_.flush_delay_ms, leases_.held(), Load()));
  refused.insert(refused.end(), result.refused.begin(), result.refused.end());
  for (const store::Refused& one : refused) {
    v1::Refused* row = ack->add_refused();
    row->mutable_kind()->set_group(one.kind.group);
    row->mutable_kind()->set_resource(one.kind.resource);
    row->set_name_space(one.object.name_space);
    row->set_name(one.object.name);
    row->set_reason(one.reason);
    log::Warn("row refused", {{"resource", one.kind.resource},
                              {"namespace", one.object.name_space},
                              {"name", one.object.name},
                              {"reason", one.reason}});
  }
  sender.Send(std::move(message));
  for (const store::Want& want : result.wants) {
    v1::ChangesDown down;
    down.mutable_want()->set_account_uid(base::ToBytes(account));
    down.mutable_want()->set_term(grant.ledger.grant().term);
    down.mutable_want()->set_snapshot_id(base::ToBytes(want.snapshot_id));
    down.mutable_want()->set_through_seq(seq);
    for (const store::ObjectName& name : want.names) {
      v1::ObjectName* one = down.mutable_want()->add_names();
      one->set_name_space(name.name_space);
      one->set_name(name.name);
    }
    sender.Send(std::move(down));
  }
  for (const store::SnapshotOutcome& outcome : result.ended) {
    if (outcome.held > 0) {
      log::Warn("deletions are held by the account's protection",
                {{"resource", outcome.kind.resource}, {"rows", outcome.held}});
    }
    Admit(admission_.Done({number, base::ToBytes(outcome.snapshot_id)}));
  }
}

void Hub::OnAsk(Session* session, const v1::SnapshotAsk& ask) {
  const auto grant = grants_.find(Number(ask.account_uid()));
  if (grant == grants_.end() || grant->second->session != session->id ||
      grant->second->ledger.grant().term != ask.term() || ask.snapshot_id().size() != 16) {
    return;
  }
  log::Info("snapshot asked for",
            {{"account", accounts_[grant->first].name}, {"reason", ask.reason()}});
  Admit(admission_.Ask({grant->second->number, ask.snapshot_id()}));
}

void Hub::Admit(const std::vector<wire::SnapshotAdmission::Ticket>& tickets) {
  for (const auto& ticket : tickets) {
    for (const auto& [account, grant] : grants_) {
      if (grant->number != ticket.owner) continue;
      const auto session = sessions_.find(grant->session);
      if (session == sessions_.end() || session->second->changes == nullptr) continue;
      v1::ChangesDown message;
      message.mutable_snapshot_admit()->set_account_uid(base::ToBytes(account));
      message.mutable_snapshot_admit()->set_term(grant->ledger.grant().term);
      message.mutable_snapshot_admit()->set_snapshot_id(ticket.snapshot_id);
      session->second->changes->sender->Send(std::move(message));
    }
  }
}

void Hub::Publish(const base::U128& account) {
  const auto known = accounts_.find(account);
  if (known == accounts_.end()) return;
  AccountLive live;
  live.standbys = static_cast<int>(leases_.Standbys(account, now()));
  const auto grant = grants_.find(account);
  const auto session =
      grant == grants_.end() ? sessions_.end() : sessions_.find(grant->second->session);
  if (session != sessions_.end()) {
    const Session& holder = *session->second;
    live.granted = true;
    live.identity = holder.peer.identity;
    live.instance = holder.hello.instance_id();
    live.agent_version = holder.hello.agent_version();
    live.revision = holder.hello.revision();
    live.zone = holder.hello.zone();
    const auto claim = holder.claims.find(known->second.name);
    if (claim != holder.claims.end()) {
      live.cluster_uid = claim->second.cluster_uid();
      live.kubernetes_version = claim->second.kubernetes_version();
    }
    const auto status = holder.statuses.find(account);
    if (status != holder.statuses.end()) {
      live.state = status->second.state();
      live.detail = status->second.detail();
      for (const v1::KindState& kind : status->second.kinds()) {
        live.kinds.push_back(base::StrCat(kind.resource(), kind.group().empty() ? "" : ".",
                                          kind.group(), ": ", kind.state(),
                                          kind.detail().empty() ? "" : " ", kind.detail()));
      }
    }
  }
  board_->Set(account, live);
}

}  // namespace fairlead::endpoint
