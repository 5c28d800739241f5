#include "agent/agent.h"

#include <algorithm>
#include <future>
#include <map>
#include <utility>

#include "lib/log/log.h"

namespace fairlead::agent {

// One account as the session sees it, and its way up. `account_` is touched on the worker's loop
// only; everything else on the session's.
class Agent::Slot : public AccountHost {
 public:
  Slot(Agent* agent, const AccountOptions& options, std::unique_ptr<net::HttpTransport> transport,
       base::Loop* worker)
      : agent_(agent),
        worker_(worker),
        name_(options.name),
        account_(std::make_unique<Account>(options, std::move(transport), this, worker)) {}

  // On the account's own loop, if the account is still there.
  void Tell(std::function<void(Account&)> what) {
    worker_->Post([this, alive = std::weak_ptr(alive_), what = std::move(what)] {
      if (alive.lock() && account_) what(*account_);
    });
  }
  void DropAccount() { account_.reset(); }  // worker's loop, or nobody's
  void AddStats(AgentStats* stats) const {  // worker's loop
    if (!account_) return;
    stats->watches.Add(account_->counts());
    stats->pending_bytes += account_->pending_bytes();
    stats->granted += account_->granted() ? 1 : 0;
    for (const auto& [state, count] : account_->watch_states()) stats->states[state] += count;
  }

  // From the account, on the worker's loop.
  void OnClaim(const v1::Claim& claim) override {
    Up([this, claim] {
      claim_ = claim;
      agent_->SendClaim(claim);
    });
  }
  bool MaySend() override { return !agent_->uplink_.backlog().full(); }
  void SendBatch(v1::Batch batch) override {
    agent_->uplink_.backlog().Add(batch.payload().size());
    Up([this, batch = std::move(batch)]() mutable { agent_->uplink_.SendBatch(std::move(batch)); });
  }
  void AskSnapshot(v1::SnapshotAsk ask) override {
    Up([this, ask = std::move(ask)] { agent_->uplink_.AskSnapshot(ask); });
  }
  void SendStatus(v1::AccountStatus status) override {
    Up([this, status = std::move(status)] { agent_->uplink_.SendStatus(status); });
  }

  // Session's loop.
  void Granted(const v1::Grant& grant) {
    granted_ = true;
    seen_.emplace();
    seen_->set_account_uid(grant.account_uid());
    seen_->set_shard(grant.shard());
    seen_->set_store_epoch(grant.store_epoch());
    seen_->set_term(grant.term());
    seen_->set_seq(grant.last_seq());
  }
  void Acked(const v1::Ack& ack) {
    if (seen_ && seen_->term() == ack.term()) seen_->set_seq(std::max(seen_->seq(), ack.seq()));
  }
  // A revocation may be overtaken by the next grant's term.
  void Revoked(uint64_t term) { granted_ = granted_ && seen_->term() != term; }
  void Lost() { granted_ = false; }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] base::Loop* worker() const { return worker_; }
  [[nodiscard]] bool Holds(const std::string& uid) const {
    return granted_ && seen_->account_uid() == uid;
  }
  [[nodiscard]] bool granted() const { return granted_; }
  [[nodiscard]] const std::optional<v1::Claim>& claim() const { return claim_; }
  // Highest (store epoch, term, seq) of the account's shard; kept when the grant has ended.
  [[nodiscard]] const std::optional<v1::ShardSeen>& seen() const { return seen_; }

 private:
  void Up(std::function<void()> what) {
    agent_->loop_->Post([alive = std::weak_ptr(agent_->alive_), what = std::move(what)] {
      if (alive.lock()) what();
    });
  }

  Agent* agent_;
  base::Loop* worker_;
  const std::string name_;
  bool granted_ = false;
  std::optional<v1::Claim> claim_;
  std::optional<v1::ShardSeen> seen_;
  std::unique_ptr<Account> account_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// An API call of an account's, as the session sees it: the one is on the worker's loop, this on the
// session's.
class Agent::RemoteCall : public ApiCall {
 public:
  // The account's events as they come over to the session's loop.
  struct Ear {
    ApiAnswer* answer = nullptr;  // null: nobody listens any more
  };
  RemoteCall(Slot* slot, uint64_t number, std::shared_ptr<Ear> ear)
      : slot_(slot), number_(number), ear_(std::move(ear)) {}
  ~RemoteCall() override {
    ear_->answer = nullptr;
    slot_->Tell([number = number_](Account& account) { account.CancelApiCall(number); });
  }
  void Credit(uint64_t total) override {
    slot_->Tell(
        [number = number_, total](Account& account) { account.CreditApiCall(number, total); });
  }
  static ApiCallEvents Events(const std::shared_ptr<Ear>& ear, base::Loop* loop) {
    ApiCallEvents events;
    events.on_head = [ear, loop](v1::ApiHead head) {
      loop->Post([ear, head = std::move(head)] {
        if (ear->answer != nullptr) ear->answer->OnHead(head);
      });
    };
    events.on_data = [ear, loop](std::string data) {
      loop->Post([ear, data = std::move(data)]() mutable {
        if (ear->answer != nullptr) ear->answer->OnData(std::move(data));
      });
    };
    events.on_end = [ear, loop](const absl::Status& status) {
      loop->Post([ear, status] {
        if (ear->answer != nullptr) ear->answer->OnEnd(status);
      });
    };
    return events;
  }

 private:
  Slot* slot_;
  const uint64_t number_;
  std::shared_ptr<Ear> ear_;
};

Agent::Agent(const AgentOptions& options, const UplinkOptions& uplink,
             Uplink::MakeChannel make_channel, base::Loop* loop)
    : options_(options), loop_(loop), uplink_(uplink, std::move(make_channel), this, loop) {}

Agent::~Agent() { uplink_.Stop(); }

void Agent::AddAccount(const AccountOptions& options, std::unique_ptr<net::HttpTransport> transport,
                       base::Loop* worker) {
  slots_.push_back(std::make_unique<Slot>(this, options, std::move(transport),
                                          worker == nullptr ? loop_ : worker));
}

void Agent::Start() {
  for (const auto& slot : slots_) slot->Tell([](Account& account) { account.Start(); });
  uplink_.Start();
}

void Agent::Stop() { uplink_.Stop(); }

void Agent::Close() {
  for (const auto& slot : slots_) {
    std::promise<void> gone;
    slot->worker()->Post([&] {
      slot->DropAccount();
      gone.set_value();
    });
    gone.get_future().wait();
  }
}

void Agent::Collect(std::function<void(const AgentStats&)> done) {
  struct Gathering {
    AgentStats sum;
    size_t left = 0;
    std::function<void(const AgentStats&)> done;
  };
  std::map<base::Loop*, std::vector<Slot*>> by_worker;
  for (const auto& slot : slots_) by_worker[slot->worker()].push_back(slot.get());
  auto gathering = std::make_shared<Gathering>();
  gathering->left = by_worker.size();
  gathering->done = std::move(done);
  gathering->sum.connected = uplink_.connected();
  gathering->sum.sessions = sessions_;
  gathering->sum.window_bytes = uplink_.window();
  gathering->sum.backlog_bytes = uplink_.backlog().bytes();
  if (by_worker.empty()) return gathering->done(gathering->sum);
  for (const auto& [worker, slots] : by_worker) {
    worker->Post([this, alive = std::weak_ptr(alive_), slots = slots, gathering] {
      if (!alive.lock()) return;
      AgentStats own;
      for (const Slot* slot : slots) slot->AddStats(&own);
      loop_->Post([gathering, own] {
        gathering->sum.Add(own);
        if (--gathering->left == 0) gathering->done(gathering->sum);
      });
    });
  }
}

Agent::Slot* Agent::ByUid(const std::string& uid) {
  for (const auto& slot : slots_) {
    if (slot->Holds(uid)) return slot.get();
  }
  return nullptr;
}

Agent::Slot* Agent::ByName(const std::string& name) {
  for (const auto& slot : slots_) {
    if (slot->name() == name) return slot.get();
  }
  return nullptr;
}

v1::Hello Agent::MakeHello() {
  v1::Hello hello;
  hello.add_protocol_versions(1);
  hello.add_codecs(v1::CODEC_ZSTD);
  hello.add_codecs(v1::CODEC_NONE);
  hello.add_hash_algorithms(v1::HASH_SHA256_128);
  hello.add_features(wire::kFeatureExchange);
  hello.set_agent_version(options_.version);
  hello.set_revision(options_.revision);
  hello.set_instance_id(options_.instance_id);
  hello.set_zone(options_.zone);
  for (const auto& slot : slots_) {
    if (slot->claim()) *hello.add_claims() = *slot->claim();
    if (slot->seen()) *hello.add_seen() = *slot->seen();
  }
  return hello;
}

// What became known between Hello and Welcome could not be sent; claims may be said twice.
void Agent::OnWelcome(const v1::Welcome&) {
  ++sessions_;
  v1::Claims claims;
  for (const auto& slot : slots_) {
    if (slot->claim()) *claims.add_claims() = *slot->claim();
  }
  if (claims.claims_size() > 0) uplink_.SendClaims(std::move(claims));
}

void Agent::SendClaim(const v1::Claim& claim) {
  v1::Claims claims;
  *claims.add_claims() = claim;
  uplink_.SendClaims(std::move(claims));
}

void Agent::OnGrant(const v1::Grant& grant) {
  Slot* slot = ByName(grant.account_name());
  if (slot == nullptr) {
    return log::Warn("grant for an account that is not ours", {{"account", grant.account_name()}});
  }
  slot->Granted(grant);
  slot->Tell([grant](Account& account) { account.OnGrant(grant); });
}

void Agent::OnRevoke(const v1::Revoke& revoke) {
  Slot* slot = ByUid(revoke.account_uid());
  if (slot == nullptr) return;
  slot->Revoked(revoke.term());
  slot->Tell([term = revoke.term(), why = revoke.reason()](Account& account) {
    account.OnRevoke(term, why);
  });
}

// A scope that changed begins anew, from the positions of the grant that follows.
void Agent::OnRules(const v1::AccountRules& rules) {
  log::Info("the account's rules changed; waiting for a new grant", {{"term", rules.term()}});
}

void Agent::OnClaimRefused(const v1::ClaimRefused& refused) {
  log::Warn("claim refused", {{"account", refused.account_name()},
                              {"reason", refused.reason()},
                              {"detail", refused.detail()}});
}

// Positions may come before their grant, so they go to whoever may be meant.
void Agent::OnPositions(const v1::Positions& positions) {
  const auto take = [positions](Account& account) { account.OnPositions(positions); };
  if (Slot* slot = ByUid(positions.account_uid())) return slot->Tell(take);
  for (const auto& slot : slots_) {
    if (!slot->granted()) slot->Tell(take);
  }
}

void Agent::OnAck(const v1::Ack& ack) {
  Slot* slot = ByUid(ack.account_uid());
  if (slot == nullptr) return;
  slot->Acked(ack);
  slot->Tell([ack](Account& account) { account.OnAck(ack); });
}

void Agent::OnWant(const v1::Want& want) {
  Slot* slot = ByUid(want.account_uid());
  if (slot != nullptr) slot->Tell([want](Account& account) { account.OnWant(want); });
}

void Agent::OnAdmit(const v1::SnapshotAdmit& admit) {
  Slot* slot = ByUid(admit.account_uid());
  if (slot != nullptr) slot->Tell([admit](Account& account) { account.OnAdmit(admit); });
}

void Agent::OnAuditOrder(const v1::AuditOrder& order) {
  Slot* slot = ByUid(order.account_uid());
  if (slot != nullptr) slot->Tell([order](Account& account) { account.OnAuditOrder(order); });
}

void Agent::OnSnapshotDone(const v1::SnapshotDone& done) {
  Slot* slot = ByUid(done.account_uid());
  if (slot != nullptr) slot->Tell([done](Account& account) { account.OnSnapshotDone(done); });
}

std::unique_ptr<ApiCall> Agent::OnApiRequest(const v1::ApiRequest& request, std::string body,
                                             ApiAnswer* answer) {
  Slot* slot = ByUid(request.account_uid());
  if (slot == nullptr) {
    answer->OnEnd(absl::UnavailableError("this agent does not serve the account"));
    return nullptr;
  }
  auto ear = std::make_shared<RemoteCall::Ear>(RemoteCall::Ear{answer});
  const uint64_t number = ++api_calls_;
  slot->Tell([number, request, body = std::move(body), events = RemoteCall::Events(ear, loop_)](
                 Account& account) { account.StartApiCall(number, request, body, events); });
  return std::make_unique<RemoteCall>(slot, number, std::move(ear));
}

// One after the other is the first to take the room.
void Agent::OnRoom() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = *slots_[(first_told_ + i) % slots_.size()];
    if (slot.granted()) slot.Tell([](Account& account) { account.OnRoom(); });
  }
  ++first_told_;
}

void Agent::OnLost(const std::string& why) {
  for (const auto& slot : slots_) {
    slot->Lost();
    slot->Tell([why](Account& account) { account.OnLost(why); });
  }
}

}  // namespace fairlead::agent
