#include "lib/wire/lease_table.h"

#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace fairlead::wire {
namespace {

using Kind = LeaseTable::Action::Kind;

// Why `claim` of a session with `identity` is not eligible; both empty when it is.
std::pair<std::string, std::string> Objection(const LeaseTable::Account& account,
                                              const LeaseTable::Claim& claim,
                                              const std::string& identity) {
  if (!account.identities.contains(identity)) {
    return {"IdentityNotTrusted",
            base::StrCat("account ", account.name, " does not list identity \"", identity,
                         "\"; add it to the account's identities")};
  }
  if (account.pinned_cluster_uid.empty() || account.pinned_cluster_uid == claim.cluster_uid) {
    return {};
  }
  if (claim.cluster_uid.empty()) {
    return {
        "ClusterUidMismatch",
        base::StrCat("account ", account.name, " is pinned to cluster ", account.pinned_cluster_uid,
                     " and the agent could not read its cluster's uid; let it get namespace "
                     "kube-system")};
  }
  return {"ClusterUidMismatch", base::StrCat("account ", account.name, " is pinned to cluster ",
                                             account.pinned_cluster_uid,
                                             ", the agent is in cluster ", claim.cluster_uid)};
}

}  // namespace

LeaseTable::Actions LeaseTable::PutAccount(const Account& account, base::Time now) {
  Actions actions;
  const auto named = uid_of_.find(account.name);
  if (named != uid_of_.end() && named->second != account.uid) {
    const base::U128 old = named->second;  // its entry goes with the account
    actions = RemoveAccount(old, now);
  }
  const auto known = accounts_.find(account.uid);
  if (known != accounts_.end() && known->second.account.name != account.name) {
    Actions renamed = RemoveAccount(account.uid, now);
    actions.insert(actions.end(), renamed.begin(), renamed.end());
  }
  AccountState& state = accounts_[account.uid];
  if (state.account == account) return actions;
  state.account = account;
  uid_of_[account.name] = account.uid;
  if (state.holder.has_value()) {
    SessionState& session = sessions_.at(state.holder->session);
    if (!Eligible(state, state.holder->session, session, &actions)) {
      Revoke(state, session.refused[account.name], &actions);
    }
  }
  Evaluate(state, now, &actions);
  return actions;
}

LeaseTable::Actions LeaseTable::RemoveAccount(const base::U128& uid, base::Time) {
  Actions actions;
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return actions;
  if (found->second.holder.has_value()) Revoke(found->second, "AccountDeleted", &actions);
  GiveUp(found->second, &actions);
  const std::string name = found->second.account.name;
  const auto named = uid_of_.find(name);
  if (named != uid_of_.end() && named->second == uid) uid_of_.erase(named);
  unheld_.erase(uid);
  accounts_.erase(found);
  const auto claimed = claimants_.find(name);
  if (claimed == claimants_.end()) return actions;
  for (const SessionId id : claimed->second) {
    RefuseUnknown(id, sessions_.at(id), name, &actions);
  }
  return actions;
}

void LeaseTable::OpenSession(SessionId session, const std::string& identity, base::Duration lease,
                             base::Time now) {
  SessionState state;
  state.identity = identity;
  state.lease = lease;
  state.heard = now;
  const bool added = sessions_.emplace(session, std::move(state)).second;
  FAIRLEAD_CHECK(added);
}

LeaseTable::Actions LeaseTable::AddClaims(SessionId session, const std::vector<Claim>& claims,
                                          base::Time now) {
  Actions actions;
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return actions;
  for (const Claim& claim : claims) {
    found->second.claims[claim.account_name] = claim;
    claimants_[claim.account_name].insert(session);
    const auto named = uid_of_.find(claim.account_name);
    if (named == uid_of_.end()) {
      RefuseUnknown(session, found->second, claim.account_name, &actions);
      continue;
    }
    AccountState& state = accounts_.at(named->second);
    const bool fine = Eligible(state, session, found->second, &actions);
    if (!fine && state.holder.has_value() && state.holder->session == session) {
      Revoke(state, found->second.refused[claim.account_name], &actions);
    }
    // It may be the very agent that another replica granted the account to.
    if (fine && state.elsewhere && !state.holder.has_value()) Begin(state, session, &actions);
    Evaluate(state, now, &actions);
  }
  return actions;
}

LeaseTable::Actions LeaseTable::CloseSession(SessionId session, base::Time now) {
  Actions actions;
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return actions;
  const SessionState gone = std::move(found->second);
  sessions_.erase(found);
  for (const auto& [name, claim] : gone.claims) {
    const auto claimed = claimants_.find(name);
    claimed->second.erase(session);
    if (!claimed->second.empty()) continue;
    claimants_.erase(claimed);
    const auto named = uid_of_.find(name);
    if (named != uid_of_.end()) Evaluate(accounts_.at(named->second), now, &actions);
  }
  for (const base::U128& uid : gone.holds) {
    AccountState& state = accounts_.at(uid);
    state.holder.reset();
    --held_;
    Evaluate(state, now, &actions);
  }
  return actions;
}

void LeaseTable::Heard(SessionId session, base::Time now) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end()) found->second.heard = now;
}

LeaseTable::Actions LeaseTable::Tick(base::Time now) {
  Actions actions;
  const bool late = last_tick_.has_value() && now - *last_tick_ > options_.late_tick;
  last_tick_ = now;
  if (late) {
    for (auto& [id, session] : sessions_) session.heard = now;
    return actions;
  }
  for (auto& [id, session] : sessions_) {
    if (Alive(session, now)) continue;
    const std::set<base::U128> holds = session.holds;
    for (const base::U128& uid : holds) OnSilence(accounts_.at(uid), now, &actions);
  }
  const std::set<base::U128> unheld = unheld_;
  for (const base::U128& uid : unheld) {
    AccountState& state = accounts_.at(uid);
    if (!state.elsewhere) Evaluate(state, now, &actions);
  }
  return actions;
}

void LeaseTable::OnSilence(AccountState& state, base::Time now, Actions* actions) {
  if (now < state.revocable_at) return;
  if (FirstStandby(state, now) != 0) {
    Revoke(state, "BeatsStopped", actions);
    state.revocable_at = now + options_.cooldown;
    return Evaluate(state, now, actions);
  }
  if (now < state.offer_at || state.holder->term == 0) return;
  state.offer_at = now + options_.retry;
  actions->push_back({Kind::kOffer, state.holder->session, state.account.uid, state.account.name, 0,
                      state.holder->term});
}

bool LeaseTable::Began(const base::U128& uid, uint64_t attempt, uint64_t term) {
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return false;
  AccountState& state = found->second;
  if (!state.holder.has_value() || state.attempt != attempt || state.holder->term != 0)
    return false;
  state.elsewhere = false;
  state.holder->term = term;
  return true;
}

void LeaseTable::BeginFailed(const base::U128& uid, uint64_t attempt, base::Time now) {
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return;
  AccountState& state = found->second;
  if (!state.holder.has_value() || state.attempt != attempt || state.holder->term != 0) return;
  Drop(state);
  state.retry_at = now + options_.retry;
}

void LeaseTable::BeginElsewhere(const base::U128& uid, uint64_t attempt) {
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return;
  AccountState& state = found->second;
  if (!state.holder.has_value() || state.attempt != attempt || state.holder->term != 0) return;
  Drop(state);
  state.elsewhere = true;
}

std::vector<base::U128> LeaseTable::Elsewhere() const {
  std::vector<base::U128> accounts;
  for (const auto& [uid, state] : accounts_) {
    if (state.elsewhere) accounts.push_back(uid);
  }
  return accounts;
}

LeaseTable::Actions LeaseTable::Freed(const base::U128& uid, base::Time now) {
  Actions actions;
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return actions;
  found->second.elsewhere = false;
  Evaluate(found->second, now, &actions);
  return actions;
}

LeaseTable::Actions LeaseTable::Restart(const base::U128& uid, const std::string& reason,
                                        base::Time now) {
  Actions actions;
  const auto found = accounts_.find(uid);
  if (found == accounts_.end() || !found->second.holder.has_value()) return actions;
  Revoke(found->second, reason, &actions);
  found->second.retry_at = now + options_.retry;
  return actions;
}

std::optional<LeaseTable::Held> LeaseTable::Holder(const base::U128& uid) const {
  const auto found = accounts_.find(uid);
  return found == accounts_.end() ? std::nullopt : found->second.holder;
}

size_t LeaseTable::Standbys(const base::U128& uid, base::Time now) const {
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return 0;
  const auto claimed = claimants_.find(found->second.account.name);
  if (claimed == claimants_.end()) return 0;
  size_t count = 0;
  for (const SessionId id : claimed->second) {
    const SessionState& session = sessions_.at(id);
    const bool holds = found->second.holder.has_value() && found->second.holder->session == id;
    if (holds || !Alive(session, now)) continue;
    const auto& account = found->second.account;
    if (Objection(account, session.claims.at(account.name), session.identity).first.empty())
      ++count;
  }
  return count;
}

// Grants an account that nobody holds to the first live eligible claim, unless it must wait.
void LeaseTable::Evaluate(AccountState& state, base::Time now, Actions* actions) {
  const base::U128 uid = state.account.uid;
  if (state.holder.has_value()) return;
  const auto claimed = claimants_.find(state.account.name);
  if (claimed == claimants_.end()) {
    unheld_.erase(uid);
    return GiveUp(state, actions);
  }
  unheld_.insert(uid);
  SessionId chosen = 0;
  bool wanted = false;
  for (const SessionId id : claimed->second) {
    SessionState& session = sessions_.at(id);
    if (!Eligible(state, id, session, actions)) continue;
    wanted = true;
    if (chosen == 0 && Alive(session, now)) chosen = id;
  }
  if (!wanted || (chosen == 0 && !state.elsewhere)) return GiveUp(state, actions);
  if (chosen == 0 || state.elsewhere || now < state.retry_at) return;
  Begin(state, chosen, actions);
}

void LeaseTable::Begin(AccountState& state, SessionId session, Actions* actions) {
  const base::U128 uid = state.account.uid;
  state.holder = Held{session, 0};
  state.attempt = next_attempt_++;
  state.asked = true;
  ++held_;
  sessions_.at(session).holds.insert(uid);
  unheld_.erase(uid);
  actions->push_back({Kind::kBegin, session, uid, state.account.name, state.attempt});
}

// Nobody here can serve it, or wants it. A term may be on its way still, so it is left whoever has
// it.
void LeaseTable::GiveUp(AccountState& state, Actions* actions) {
  state.elsewhere = false;
  if (!std::exchange(state.asked, false)) return;
  actions->push_back({Kind::kLeave, 0, state.account.uid, state.account.name});
}

bool LeaseTable::Eligible(const AccountState& state, SessionId id, SessionState& session,
                          Actions* actions) {
  const std::string& name = state.account.name;
  auto [reason, detail] = Objection(state.account, session.claims.at(name), session.identity);
  if (reason.empty()) {
    session.refused.erase(name);
    return true;
  }
  if (session.refused[name] != reason) {
    session.refused[name] = reason;
    actions->push_back({Kind::kRefuse, id, state.account.uid, name, 0, 0, reason, detail});
  }
  return false;
}

bool LeaseTable::Alive(const SessionState& session, base::Time now) const {
  return now - session.heard <= session.lease;
}

void LeaseTable::Revoke(AccountState& state, const std::string& reason, Actions* actions) {
  actions->push_back({Kind::kRevoke, state.holder->session, state.account.uid, state.account.name,
                      0, state.holder->term, reason});
  Drop(state);
}

void LeaseTable::Drop(AccountState& state) {
  sessions_.at(state.holder->session).holds.erase(state.account.uid);
  state.holder.reset();
  --held_;
  unheld_.insert(state.account.uid);
}

LeaseTable::SessionId LeaseTable::FirstStandby(const AccountState& state, base::Time now) const {
  const auto claimed = claimants_.find(state.account.name);
  if (claimed == claimants_.end()) return 0;
  for (const SessionId id : claimed->second) {
    const SessionState& session = sessions_.at(id);
    if (state.holder.has_value() && state.holder->session == id) continue;
    if (!Alive(session, now)) continue;
    const auto objection =
        Objection(state.account, session.claims.at(state.account.name), session.identity);
    if (objection.first.empty()) return id;
  }
  return 0;
}

void LeaseTable::RefuseUnknown(SessionId id, SessionState& session, const std::string& name,
                               Actions* actions) const {
  constexpr char kReason[] = "UnknownAccount";
  if (session.refused[name] == kReason) return;
  session.refused[name] = kReason;
  actions->push_back(
      {Kind::kRefuse,
       id,
       {},
       name,
       0,
       0,
       kReason,
       base::StrCat("no account \"", name, "\" is registered; it is granted as soon as it is")});
}

}  // namespace fairlead::wire
