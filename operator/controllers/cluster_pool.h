#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "api/v1alpha1/types.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/kube/kubeconfig.h"
#include "operator/runtime/cluster_client.h"

namespace fairlead::op {

// The addresses of a host, the best first. Unavailable: they are not known now.
absl::StatusOr<std::vector<std::string>> ResolveHost(const std::string& host);
// Always Unavailable: a name that does not exist may be made a moment later, and a name server that
// is asked too early says the same. `gai_error` of getaddrinfo, `system_error` for EAI_SYSTEM.
absl::Status NotResolved(const std::string& host, int gai_error, int system_error);

// Clients of accounts' clusters, made from live reads of their kubeconfig Secrets.
//
// Guarantees: only an address that was resolved here and found harmless is dialled, so that a name
//   in a hostile kubeconfig cannot become an address of ours between the check and the connection;
//   a name that moves is followed after a minute, to the next of its addresses when this one does
//   not answer; while the name servers are silent a client stays as it is.
// Any thread. Blocks on the hub and on name servers; what is known already waits for one lookup at
// a time, whatever the number of accounts.
// Tests: unit/operator/controllers/cluster_pool_test.cc.
class ClusterPool {
 public:
  // Connects to a cluster whose kubeconfig was found harmless, at `address`.
  using Dial =
      std::function<absl::StatusOr<std::shared_ptr<ClusterClient>>(const kube::ClusterAccess&)>;
  using Resolve = std::function<absl::StatusOr<std::vector<std::string>>(const std::string& host)>;
  ClusterPool(std::shared_ptr<ClusterClient> hub, Dial dial, Resolve resolve = ResolveHost,
              const base::Clock* clock = &base::Clock::Real())
      : hub_(std::move(hub)), dial_(std::move(dial)), resolve_(std::move(resolve)), clock_(clock) {}

  // NotFound: the Secret or its key; InvalidArgument: a kubeconfig that is refused; Unavailable:
  // the hub or a name server does not answer. The cluster itself is not asked.
  absl::StatusOr<std::shared_ptr<ClusterClient>> For(const api::ClusterAccount& account);
  // The account is gone.
  void Forget(const std::string& account_uid);

 private:
  struct Entry {
    std::string from;  // which Secret, version and key
    std::string address;
    base::Time resolved{};
    std::shared_ptr<ClusterClient> client;
  };
  // What is known and was made from `from`; else without a client.
  Entry Known(const std::string& account_uid, const std::string& from);
  // The address to dial for `host`; the one of `known` while it is as good as any.
  absl::StatusOr<std::string> Choose(const std::string& host, const Entry& known);

  std::shared_ptr<ClusterClient> hub_;
  Dial dial_;
  Resolve resolve_;
  const base::Clock* clock_;
  base::Mutex looking_up_;  // held while a known name is resolved again
  base::Mutex mutex_;
  std::map<std::string, Entry> entries_;  // by ClusterAccount uid
};

// The condition's reason for an error of ClusterPool::For.
const char* ReasonOf(const absl::Status& not_connected);

}  // namespace fairlead::op
