#include "operator/controllers/context.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"

namespace fairlead::op {

bool Observations::Set(const std::string& account_uid, const Observation& observation) {
  const base::MutexLock lock(mutex_);
  const auto [it, is_new] = all_.try_emplace(account_uid, observation);
  if (!is_new && it->second == observation) return false;
  it->second = observation;
  return true;
}

std::optional<Observation> Observations::Get(const std::string& account_uid) const {
  const base::MutexLock lock(mutex_);
  const auto found = all_.find(account_uid);
  return found == all_.end() ? std::nullopt : std::optional<Observation>(found->second);
}

void Observations::Forget(const std::string& account_uid) {
  const base::MutexLock lock(mutex_);
  all_.erase(account_uid);
}

bool Selected(const api::AgentDeployment& deployment, const api::ClusterAccount& account) {
  if (deployment.selector) return deployment.selector->Matches(account.meta.labels);
  return std::find(deployment.refs.begin(), deployment.refs.end(), account.meta.name) !=
         deployment.refs.end();
}

void Context::Tell(const char* kind, const api::ObjectMeta& of, bool warning,
                   const std::string& reason, const std::string& action,
                   const std::string& note) const {
  record({{base::StrCat(api::kGroup, "/", api::kVersion), kind, of.name_space, of.name, of.uid},
          warning,
          reason,
          action,
          note});
}

void Context::TellTransitions(const char* kind, const api::ObjectMeta& of,
                              const ConditionSet& conditions) const {
  for (const api::Condition& one : conditions.Transitions()) {
    const bool deleting = one.type == kDeleting;
    if (one.type != kReady && one.type != kConnected && !deleting) continue;
    // That a new account has no agent yet is no news.
    if (one.type == kConnected && one.status != "True" && !conditions.WasKnown(one.type)) continue;
    // A rollout under way is as it should be.
    const bool bad = deleting || (one.status != "True" && one.reason != kReasonRollingOut);
    Tell(kind, of, bad, one.reason, "Reconcile",
         one.message.empty() ? base::StrCat(one.type, " is ", one.status) : one.message);
  }
}

Informer::Object Context::Account(const Key& key) const {
  const auto found = accounts.find(key.name_space);
  return found == accounts.end() ? nullptr : found->second->Get(key);
}

Informer::Object Context::Deployment(const Key& key) const {
  const auto found = deployments.find(key.name_space);
  return found == deployments.end() ? nullptr : found->second->Get(key);
}

std::vector<api::ClusterAccount> Context::AccountsOf(const std::string& name_space) const {
  std::vector<api::ClusterAccount> out;
  const auto found = accounts.find(name_space);
  if (found == accounts.end()) return out;
  for (const Informer::Object& object : found->second->List()) {
    api::ClusterAccount account;
    // One that is refused still holds what it holds: its spec is not acted on, its status is.
    const absl::Status refused = ParseClusterAccount(*object, &account);
    if (refused.ok() || !account.agent.uid.empty()) out.push_back(std::move(account));
  }
  return out;
}

std::optional<api::AgentDeployment> Context::Holder(const api::ClusterAccount& account) const {
  if (account.agent.uid.empty()) return std::nullopt;
  const Informer::Object object =
      Deployment({account.meta.name_space, account.agent.deployment_name});
  if (!object) return std::nullopt;
  api::AgentDeployment deployment;
  const absl::Status refused = ParseAgentDeployment(*object, &deployment);
  if (deployment.meta.uid != account.agent.uid) return std::nullopt;
  return deployment;
}

std::string Context::OwnerOf(const api::ObjectMeta& meta) const {
  return base::StrCat(hub_id, "/", meta.name_space, "/", meta.name);
}

std::string Context::IdentityOf(const api::ClusterAccount& account) const {
  return AgentIdentity(hub_id, account.account_name, account.meta.uid);
}

}  // namespace fairlead::op
