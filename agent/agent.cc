#include "agent/agent.h"

#include <utility>

#include "lib/log/log.h"
#include "lib/metrics/metrics.h"
#include "lib/metrics/names.h"

namespace fairlead::agent {

Agent::Agent(const AgentOptions& options, const UplinkOptions& uplink,
             Uplink::MakeChannel make_channel, base::Loop* loop)
    : options_(options), loop_(loop), uplink_(uplink, std::move(make_channel), this, loop) {}

Agent::~Agent() { Stop(); }

void Agent::AddAccount(const AccountOptions& options,
                       std::unique_ptr<net::HttpTransport> transport) {
  accounts_.push_back(std::make_unique<Account>(options, std::move(transport), this, loop_));
}

void Agent::Start() {
  for (const auto& account : accounts_) account->Start();
  uplink_.Start();
}

void Agent::Stop() {
  uplink_.Stop();
  accounts_.clear();
}

Account* Agent::ByUid(const std::string& uid) {
  for (const auto& account : accounts_) {
    if (account->granted() && account->uid() == uid) return account.get();
  }
  return nullptr;
}

Account* Agent::ByName(const std::string& name) {
  for (const auto& account : accounts_) {
    if (account->name() == name) return account.get();
  }
  return nullptr;
}

v1::Hello Agent::MakeHello() {
  v1::Hello hello;
  hello.add_protocol_versions(1);
  hello.add_codecs(v1::CODEC_ZSTD);
  hello.add_codecs(v1::CODEC_NONE);
  hello.add_hash_algorithms(v1::HASH_SHA256_128);
  hello.set_agent_version(options_.version);
  hello.set_revision(options_.revision);
  hello.set_instance_id(options_.instance_id);
  hello.set_zone(options_.zone);
  for (const auto& account : accounts_) {
    if (account->claim()) *hello.add_claims() = *account->claim();
    if (account->seen()) *hello.add_seen() = *account->seen();
  }
  return hello;
}

// What became known between Hello and Welcome could not be sent; claims may be said twice.
void Agent::OnWelcome(const v1::Welcome&) {
  ++sessions_;
  v1::Claims claims;
  for (const auto& account : accounts_) {
    if (account->claim()) *claims.add_claims() = *account->claim();
  }
  if (claims.claims_size() > 0) uplink_.SendClaims(std::move(claims));
}

void Agent::OnClaim(const v1::Claim& claim) {
  v1::Claims claims;
  *claims.add_claims() = claim;
  uplink_.SendClaims(std::move(claims));
}

void Agent::OnGrant(const v1::Grant& grant) {
  if (Account* account = ByName(grant.account_name())) return account->OnGrant(grant);
  log::Warn("grant for an account that is not ours", {{"account", grant.account_name()}});
}

void Agent::OnRevoke(const v1::Revoke& revoke) {
  Account* account = ByUid(revoke.account_uid());
  if (account != nullptr) account->OnRevoke(revoke.term(), revoke.reason());
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
  if (Account* account = ByUid(positions.account_uid())) return account->OnPositions(positions);
  for (const auto& account : accounts_) {
    if (!account->granted()) account->OnPositions(positions);
  }
}

void Agent::OnAck(const v1::Ack& ack) {
  if (Account* account = ByUid(ack.account_uid())) account->OnAck(ack);
}

void Agent::OnWant(const v1::Want& want) {
  if (Account* account = ByUid(want.account_uid())) account->OnWant(want);
}

void Agent::OnAdmit(const v1::SnapshotAdmit& admit) {
  if (Account* account = ByUid(admit.account_uid())) account->OnAdmit(admit);
}

void Agent::OnLost(const std::string& why) {
  for (const auto& account : accounts_) account->OnLost(why);
}

void Agent::Publish(metrics::Registry* registry) const {
  namespace names = metrics;
  WatchCounters sum;
  double pending = 0;
  double granted = 0;
  std::map<kube::WatchState, int> states;
  for (const auto& account : accounts_) {
    const WatchCounters& one = account->counts();
    sum.events += one.events;
    sum.items += one.items;
    sum.changes += one.changes;
    sum.invalid += one.invalid;
    sum.oversize += one.oversize;
    sum.lists += one.lists;
    sum.rereads += one.rereads;
    pending += static_cast<double>(account->pending_bytes());
    granted += account->granted() ? 1 : 0;
    for (const auto& [state, count] : account->watch_states()) states[state] += count;
  }
  const auto set = [&](const char* name, const char* help, double value) {
    registry->GetGauge(name, help).Set(value);
  };
  set(names::kAgentEvents, "Watch events read", static_cast<double>(sum.events));
  set(names::kAgentItems, "List items read", static_cast<double>(sum.items));
  set(names::kAgentChanges, "Changes put into the outbox", static_cast<double>(sum.changes));
  set(names::kAgentInvalid, "Events and items that could not be read",
      static_cast<double>(sum.invalid));
  set(names::kAgentOversize, "Events and items beyond the size limit",
      static_cast<double>(sum.oversize));
  set(names::kAgentLists, "Pages of full lists asked for", static_cast<double>(sum.lists));
  set(names::kAgentRereads, "Objects read again for a snapshot", static_cast<double>(sum.rereads));
  set(names::kAgentPendingBytes, "Bytes waiting to be sent", pending);
  set(names::kAgentGranted, "Accounts granted to this agent", granted);
  set(names::kAgentConnected, "1 while a session is open", uplink_.connected() ? 1 : 0);
  set(names::kAgentSessions, "Sessions opened", static_cast<double>(sessions_));
  for (const kube::WatchState state :
       {kube::WatchState::kIdle, kube::WatchState::kChecking, kube::WatchState::kAdmission,
        kube::WatchState::kListing, kube::WatchState::kWatching, kube::WatchState::kForbidden,
        kube::WatchState::kMissing}) {
    registry
        ->GetGauge(names::kAgentWatches, "Watches by state",
                   {{"state", std::string(kube::WatchStateName(state))}})
        .Set(states.contains(state) ? states[state] : 0);
  }
}

}  // namespace fairlead::agent
