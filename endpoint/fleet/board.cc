#include "endpoint/fleet/board.h"

#include <json/json.h>

#include <utility>

#include "lib/base/status.h"
#include "lib/json/dom.h"

namespace fairlead::endpoint {
namespace {

// Every text of an AccountLive with its name.
template <typename Live, typename Visit>
void EachText(Live& live, Visit&& visit) {
  visit("identity", live.identity);
  visit("instance", live.instance);
  visit("agentVersion", live.agent_version);
  visit("revision", live.revision);
  visit("zone", live.zone);
  visit("clusterUid", live.cluster_uid);
  visit("kubernetesVersion", live.kubernetes_version);
  visit("state", live.state);
  visit("detail", live.detail);
}

}  // namespace

std::string LiveToText(const AccountLive& live) {
  Json::Value out;
  out["granted"] = live.granted;
  out["term"] = Json::UInt64(live.term);
  out["standbys"] = live.standbys;
  EachText(live, [&](const char* name, const std::string& text) { out[name] = text; });
  out["synced"] = live.synced;
  out["kinds"] = Json::Value(Json::arrayValue);
  for (const std::string& kind : live.kinds) out["kinds"].append(kind);
  out["refused"] = Json::UInt64(live.refused);
  for (const std::string& one : live.refused_objects) out["refusedObjects"].append(one);
  return json::WriteJson(out);
}

absl::StatusOr<AccountLive> LiveFromText(std::string_view text) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value in, json::ParseJson(text));
  if (!in.isObject() || !in["granted"].isBool() || !in["term"].isUInt64() ||
      !in["standbys"].isInt() || !in["kinds"].isArray()) {
    return absl::InvalidArgumentError("what a replica says of an account is not understood");
  }
  AccountLive live;
  live.granted = in["granted"].asBool();
  live.term = in["term"].asUInt64();
  live.standbys = in["standbys"].asInt();
  live.synced = in["synced"].isBool() && in["synced"].asBool();
  EachText(live, [&](const char* name, std::string& to) {
    if (in[name].isString()) to = in[name].asString();
  });
  for (const Json::Value& kind : in["kinds"]) {
    if (kind.isString()) live.kinds.push_back(kind.asString());
  }
  if (in["refused"].isUInt64()) live.refused = in["refused"].asUInt64();
  if (in["refusedObjects"].isArray()) {
    for (const Json::Value& one : in["refusedObjects"]) {
      if (one.isString()) live.refused_objects.push_back(one.asString());
    }
  }
  return live;
}

void FleetBoard::Put(const std::string& replica, const base::U128& account,
                     const std::optional<AccountLive>& live) {
  Listener listener;
  {
    const base::MutexLock lock(mutex_);
    Lives& lives = replicas_[replica];
    const auto known = lives.find(account);
    if (!live) {
      if (known == lives.end()) return;
      lives.erase(known);
    } else if (known == lives.end()) {
      lives[account] = *live;
      // That nobody is there is how it was.
      if (*live == AccountLive{}) return;
    } else {
      if (known->second == *live) return;
      known->second = *live;
    }
    listener = listener_;
  }
  if (listener) listener(account, replica.empty());
}

void FleetBoard::Remove(const base::U128& account) {
  {
    const base::MutexLock lock(mutex_);
    freshness_.erase(account);
  }
  Put("", account, std::nullopt);
}

void FleetBoard::SetFreshness(const base::U128& account, AccountFreshness freshness) {
  const base::MutexLock lock(mutex_);
  freshness_[account] = std::move(freshness);
}

AccountFreshness FleetBoard::Freshness(const base::U128& account) const {
  const base::MutexLock lock(mutex_);
  const auto found = freshness_.find(account);
  return found == freshness_.end() ? AccountFreshness{} : found->second;
}

void FleetBoard::ForgetPeer(const std::string& peer) {
  Lives gone;
  Listener listener;
  {
    const base::MutexLock lock(mutex_);
    const auto found = replicas_.find(peer);
    if (found == replicas_.end()) return;
    gone = std::move(found->second);
    replicas_.erase(found);
    listener = listener_;
  }
  if (!listener) return;
  for (const auto& [account, live] : gone) listener(account, false);
}

AccountLive FleetBoard::Get(const base::U128& account) const {
  const base::MutexLock lock(mutex_);
  AccountLive all;
  int standbys = 0;
  for (const auto& [replica, lives] : replicas_) {
    const auto found = lives.find(account);
    if (found == lives.end()) continue;
    standbys += found->second.standbys;
    if (found->second.granted && (!all.granted || found->second.term > all.term))
      all = found->second;
  }
  all.standbys = standbys;
  return all;
}

AccountLive FleetBoard::Own(const base::U128& account) const {
  const base::MutexLock lock(mutex_);
  const auto own = replicas_.find("");
  if (own == replicas_.end()) return {};
  const auto found = own->second.find(account);
  return found == own->second.end() ? AccountLive{} : found->second;
}

std::vector<base::U128> FleetBoard::OwnAccounts() const {
  const base::MutexLock lock(mutex_);
  std::vector<base::U128> accounts;
  const auto own = replicas_.find("");
  if (own == replicas_.end()) return accounts;
  for (const auto& [account, live] : own->second) {
    if (live != AccountLive{}) accounts.push_back(account);
  }
  return accounts;
}

}  // namespace fairlead::endpoint
