#include "operator/controllers/cluster_pool.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "absl/strings/escaping.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr base::Duration kResolveAgain = base::seconds(60);

absl::StatusOr<kube::ClusterAccess> ReadKubeconfig(const Json::Value& secret,
                                                   const api::KubeconfigConnection& from) {
  const Json::Value& data = secret["data"][from.secret_key];
  std::string text;
  if (!data.isString() || !absl::Base64Unescape(data.asString(), &text)) {
    return absl::NotFoundError(
        StrCat("Secret ", from.secret_name, " has no key \"", from.secret_key, "\""));
  }
  return kube::ParseKubeconfig(text, StrCat("Secret ", from.secret_name, ", key ", from.secret_key),
                               kube::KubeconfigTrust::kHostile);
}

}  // namespace

absl::Status NotResolved(const std::string& host, int gai_error, int system_error) {
  const std::string why = gai_error == EAI_SYSTEM ? std::generic_category().message(system_error)
                                                  : gai_strerror(gai_error);
  return absl::UnavailableError(StrCat("server ", host, ": ", why));
}

absl::StatusOr<std::vector<std::string>> ResolveHost(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) return NotResolved(host, failed, errno);
  std::vector<std::string> out;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    const void* address =
        one->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(one->ai_addr)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(one->ai_addr)->sin6_addr;
    if (inet_ntop(one->ai_family, address, text, sizeof(text)) != nullptr) out.emplace_back(text);
  }
  freeaddrinfo(found);
  return out;
}

absl::StatusOr<std::shared_ptr<ClusterClient>> ClusterPool::For(
    const api::ClusterAccount& account) {
  if (account.connection.kind == api::Connection::Kind::kInCluster) return hub_;
  if (account.connection.kind == api::Connection::Kind::kDialIn) {
    return absl::FailedPreconditionError("nothing here can reach a dialIn cluster");
  }
  const api::KubeconfigConnection& kubeconfig = account.connection.kubeconfig;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const Json::Value secret,
      GetObject(hub_.get(), {SecretType(), account.meta.name_space, kubeconfig.secret_name}));
  const Json::Value& meta = secret["metadata"];
  const std::string from = StrCat(meta["uid"].asString(), "/", meta["resourceVersion"].asString(),
                                  "/", kubeconfig.secret_key);
  const std::string& uid = account.meta.uid;
  Entry entry = Known(uid, from);
  base::MutexLock looking_up(looking_up_, std::defer_lock);
  if (entry.client) {
    if (clock_->Now() - entry.resolved < kResolveAgain) return entry.client;
    // Slow name servers hold up one visit at a time; the others go on with what is known.
    if (!looking_up.try_lock()) return entry.client;
  }
  FAIRLEAD_ASSIGN_OR_RETURN(kube::ClusterAccess access, ReadKubeconfig(secret, kubeconfig));
  auto address = Choose(access.host, entry);
  if (entry.client && absl::IsUnavailable(address.status())) address = entry.address;
  if (!address.ok()) {
    Forget(uid);
    return address.status();
  }
  if (!entry.client || *address != entry.address) {
    access.address = *address;
    FAIRLEAD_ASSIGN_OR_RETURN(entry.client, dial_(access));
  }
  entry.from = from;
  entry.address = *address;
  entry.resolved = clock_->Now();
  const base::MutexLock lock(mutex_);
  entries_[uid] = entry;
  return entry.client;
}

ClusterPool::Entry ClusterPool::Known(const std::string& account_uid, const std::string& from) {
  const base::MutexLock lock(mutex_);
  const auto found = entries_.find(account_uid);
  return found != entries_.end() && found->second.from == from ? found->second : Entry{};
}

absl::StatusOr<std::string> ClusterPool::Choose(const std::string& host, const Entry& known) {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<std::string> addresses, resolve_(host));
  if (addresses.empty()) return absl::UnavailableError(StrCat("server ", host, ": no address"));
  for (const std::string& one : addresses) {
    if (kube::ForbiddenAddress(one)) {
      return absl::InvalidArgumentError(
          StrCat("server ", host, ": resolves to ", one, ", which is not allowed"));
    }
  }
  auto dialled = std::find(addresses.begin(), addresses.end(), known.address);
  if (dialled == addresses.end()) return addresses.front();
  if (known.client->answers()) return *dialled;
  return ++dialled == addresses.end() ? addresses.front() : *dialled;
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

}  // namespace fairlead::op
