#include "endpoint/session/hub.h"

#include <algorithm>
#include <utility>

#include "endpoint/session/hub_parts.h"
#include "endpoint/store/store.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"

// Accounts, enrolment and sessions; grants and what comes under them are in hub_grants.cc.
namespace fairlead::endpoint {

namespace {

constexpr base::Duration kTick = base::milliseconds(50);
constexpr uint64_t kTicksPerPublish = 20;
constexpr int kMostClaims = 2000;
constexpr size_t kMostUnjoined = 64;  // Changes streams of one identity
constexpr base::Duration kSayWho = base::seconds(20);

}  // namespace

Hub::Hub(const HubOptions& options, store::WriterQueue* writer, const Authority* authority,
         FleetBoard* board, base::Loop* loop)
    : options_(options),
      writer_(writer),
      authority_(authority),
      board_(board),
      loop_(loop),
      leases_({}),
      admission_({.tokens = options.concurrent_snapshots}) {}

Hub::~Hub() = default;

void Hub::Start() { Tick(); }

void Hub::Tick() {
  Carry(leases_.Tick(now()));
  Admit(admission_.Tick(now()));
  SendMorePositions();
  TimeOutCalls();
  // Standbys come and go without a grant that would tell of it.
  if (++ticks_ % kTicksPerPublish == 0) {
    CloseStrangers();
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

void Hub::RemoveAccount(const base::U128& uid) {
  Carry(leases_.RemoveAccount(uid, now()));
  DropGrant(uid);
  seen_.erase(uid);
  refusals_.erase(uid);
  lost_commits_.erase(uid);
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
  size_t& others = sessions_of_[peer.identity];
  if (others >= options_.sessions_per_identity) {
    log::Warn("an agent is refused: its identity has as many sessions as may be",
              {{"identity", peer.identity}, {"sessions", others}, {"address", peer.address}});
    sender->End(absl::ResourceExhaustedError(
        base::StrCat("identity ", peer.identity, " has ", others, " sessions, as many as may be")));
    return nullptr;
  }
  ++others;
  auto session = std::make_unique<Session>();
  session->hub = this;
  session->opened = now();
  session->id = next_session_++;
  session->peer = peer;
  session->control = std::move(sender);
  session->session_id = base::ToBytes(base::RandomU128());
  Session* handler = session.get();
  by_session_id_[handler->session_id] = handler;
  sessions_[handler->id] = std::move(session);
  return handler;
}

void Hub::OnControlMessage(Session* session, const v1::ControlUp& message) {
  if (!session->greeted && !message.has_hello()) return CloseSession(session->id, "no Hello");
  if (!session->messages.Take(now())) return CloseSession(session->id, "too many messages");
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
  welcome->set_max_message_bytes(kMaxMessageBytes);
  welcome->add_features(wire::kFeaturePace);
  welcome->add_features(wire::kFeatureExchange);
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

void Hub::CloseStrangers() {
  std::vector<SessionId> silent;
  for (const auto& [id, session] : sessions_) {
    if (!session->greeted && now() - session->opened > kSayWho) silent.push_back(id);
  }
  for (const SessionId id : silent) CloseSession(id, "no Hello in time");
  std::vector<Changes*> unjoined;
  for (const auto& one : changes_) {
    if (one->session == nullptr && now() - one->opened > kSayWho) unjoined.push_back(one.get());
  }
  for (Changes* one : unjoined) CloseChanges(one, absl::AbortedError("of no session"));
  std::vector<Exchange*> strange;
  for (const auto& [stream, one] : exchanges_) {
    if (one->session == nullptr && now() - one->opened > kSayWho) strange.push_back(stream);
  }
  for (Exchange* one : strange) CloseExchange(one, absl::AbortedError("of no session"));
}

// The stream that ended may be the one whose callback we are in: what goes, goes later.
void Hub::CloseSession(SessionId id, const std::string& why) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const std::shared_ptr<Session> session = std::move(found->second);
  sessions_.erase(found);
  by_session_id_.erase(session->session_id);
  log::Info("agent gone", {{"identity", session->peer.identity},
                           {"instance", session->hello.instance_id()},
                           {"reason", why}});
  const auto others = sessions_of_.find(session->peer.identity);
  if (--others->second == 0) sessions_of_.erase(others);
  const absl::Status told = absl::AbortedError(why);
  session->control->End(told);
  session->control.reset();
  if (session->changes != nullptr) CloseChanges(session->changes, told);
  CloseExchanges(session.get(), told);
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
  const auto unjoined = std::count_if(changes_.begin(), changes_.end(), [&](const auto& one) {
    return one->session == nullptr && one->peer.identity == peer.identity;
  });
  if (static_cast<size_t>(unjoined) >= kMostUnjoined) {
    sender->End(absl::ResourceExhaustedError("too many streams of no session"));
    return nullptr;
  }
  auto changes = std::make_unique<Changes>();
  changes->hub = this;
  changes->opened = now();
  changes->peer = peer;
  changes->sender = std::move(sender);
  changes_.push_back(std::move(changes));
  return changes_.back().get();
}

void Hub::CloseChanges(Changes* changes, const absl::Status& why) {
  const auto found = std::find_if(changes_.begin(), changes_.end(),
                                  [&](const auto& one) { return one.get() == changes; });
  if (found == changes_.end()) return;
  const std::shared_ptr<Changes> gone = std::move(*found);
  changes_.erase(found);
  gone->sender->End(why);
  gone->sender.reset();
  gone->session = nullptr;
  loop_->Post([gone] {});
}

// The session's id alone does not open its streams.
Hub::Session* Hub::SessionOf(const v1::Open& open, const wire::Peer& peer) {
  const auto found = by_session_id_.find(open.session_id());
  if (found == by_session_id_.end() || found->second->peer.identity != peer.identity)
    return nullptr;
  return found->second;
}

void Hub::OnChangesMessage(Changes* changes, v1::ChangesUp message) {
  if (changes->session == nullptr) {
    Session* session = message.has_open() ? SessionOf(message.open(), changes->peer) : nullptr;
    if (session == nullptr || session->changes != nullptr) {
      return CloseChanges(changes, absl::AbortedError("of no session"));
    }
    session->changes = changes;
    changes->session = session;
    for (const auto& [account, grant] : grants_) {
      if (grant->session == session->id) SendPositions(session, grant.get());
    }
    return;
  }
  leases_.Heard(changes->session->id, now());
  if (message.has_batch()) return OnBatch(changes->session, message.batch());
  if (!changes->session->messages.Take(now())) {
    return CloseSession(changes->session->id, "too many messages");
  }
  if (message.has_snapshot_ask()) return OnAsk(changes->session, message.snapshot_ask());
  if (message.has_mark()) {
    v1::ChangesDown echo;
    *echo.mutable_mark() = message.mark();
    return changes->sender->Send(std::move(echo));
  }
  if (message.has_fragment()) return OnFragment(changes, message.fragment());
}

void Hub::OnFragment(Changes* changes, const v1::Fragment& fragment) {
  auto message = changes->fragments.Add(fragment);
  if (!message.ok()) return CloseSession(changes->session->id, message.status().ToString());
  if (message->has_value()) OnChangesMessage(changes, **std::move(message));
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
    live.term = grant->second->ledger.grant().term;
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
    live.synced = Synced(*grant->second);
    if (const auto refusals = refusals_.find(account); refusals != refusals_.end()) {
      live.refused = refusals->second.count();
      live.refused_objects = refusals->second.Named();
    }
    if (const auto& status = grant->second->status) {
      live.state = status->state();
      live.detail = status->detail();
      for (const v1::KindState& kind : status->kinds()) {
        if (kind.state() == kSaysWatching || kind.state() == kSaysUnwatched) continue;
        live.kinds.push_back(base::StrCat(kind.resource(), kind.group().empty() ? "" : ".",
                                          kind.group(), ": ", kind.state(),
                                          kind.detail().empty() ? "" : " ", kind.detail()));
      }
    }
  }
  board_->Set(account, live);
}

}  // namespace fairlead::endpoint
