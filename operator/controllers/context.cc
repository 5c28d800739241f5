#include "operator/controllers/context.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/kube/kubeconfig.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"

namespace fairlead::op {

namespace {

// A name in a hostile kubeconfig is resolved once, here, and what it resolved to is what is
// dialled: it cannot become an address of ours between the check and the connection.
absl::Status PinAddress(kube::ClusterAccess* access) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(access->host.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    return absl::UnavailableError(
        base::StrCat("server ", access->host, ": ", gai_strerror(failed)));
  }
  absl::Status status =
      absl::UnavailableError(base::StrCat("server ", access->host, ": no address"));
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    const void* address =
        one->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(one->ai_addr)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(one->ai_addr)->sin6_addr;
    if (inet_ntop(one->ai_family, address, text, sizeof(text)) == nullptr) continue;
    if (kube::ForbiddenAddress(text)) {
      status = absl::InvalidArgumentError(
          base::StrCat("server ", access->host, ": resolves to ", text, ", which is not allowed"));
      break;
    }
    if (access->server_name.empty() && access->host != text) access->server_name = access->host;
    access->host = text;
    status = absl::OkStatus();
    break;
  }
  freeaddrinfo(found);
  return status;
}

}  // namespace

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

absl::StatusOr<std::shared_ptr<ClusterClient>> ClusterPool::For(
    const api::ClusterAccount& account) {
  if (account.connection.kind == api::Connection::Kind::kInCluster) return hub_;
  if (account.connection.kind == api::Connection::Kind::kDialIn) {
    return absl::FailedPreconditionError("nothing here can reach a dialIn cluster");
  }
  const api::KubeconfigConnection& from = account.connection.kubeconfig;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const Json::Value secret,
      GetObject(hub_.get(), {SecretType(), account.meta.name_space, from.secret_name}));
  const std::string version = base::StrCat(secret["metadata"]["uid"].asString(), "/",
                                           secret["metadata"]["resourceVersion"].asString());
  {
    const base::MutexLock lock(mutex_);
    const auto known = entries_.find(account.meta.uid);
    if (known != entries_.end() && known->second.secret_version == version) {
      return known->second.client;
    }
  }
  const Json::Value& data = secret["data"][from.secret_key];
  std::string text;
  if (!data.isString() || !absl::Base64Unescape(data.asString(), &text)) {
    return absl::NotFoundError(
        base::StrCat("Secret ", from.secret_name, " has no key \"", from.secret_key, "\""));
  }
  FAIRLEAD_ASSIGN_OR_RETURN(
      kube::ClusterAccess access,
      kube::ParseKubeconfig(text,
                            base::StrCat("Secret ", from.secret_name, ", key ", from.secret_key),
                            kube::KubeconfigTrust::kHostile));
  // Without the lock: a slow name server holds up this account only.
  FAIRLEAD_RETURN_IF_ERROR(PinAddress(&access));
  FAIRLEAD_ASSIGN_OR_RETURN(std::shared_ptr<ClusterClient> client, dial_(access));
  const base::MutexLock lock(mutex_);
  entries_[account.meta.uid] = {version, client};
  return client;
}

void ClusterPool::Forget(const std::string& account_uid) {
  const base::MutexLock lock(mutex_);
  entries_.erase(account_uid);
}

const char* ReasonOf(const absl::Status& not_connected) {
  if (absl::IsNotFound(not_connected)) return kReasonCredentialNotFound;
  if (absl::IsInvalidArgument(not_connected)) return kReasonCredentialInvalid;
  return kReasonClusterUnreachable;
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
