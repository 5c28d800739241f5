#pragma once

#include <string>

// The names and marks of everything the operator writes, in one place. Pure.
namespace fairlead::op {

// Field managers. Two write a ClusterAccount's status, each its own part.
inline constexpr char kObjectManager[] = "fairlead-operator";
inline constexpr char kAccountManager[] = "fairlead-account";
inline constexpr char kRolloutManager[] = "fairlead-rollout";

inline constexpr char kFinalizer[] = "fairlead.dev/cleanup";

inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kManagedBy[] = "fairlead-operator";
inline constexpr char kAgentLabel[] = "fairlead.dev/agent";  // value: the installation's hash
// "<hub id>/<AgentDeployment uid>/<ClusterAccount uid>": proof of whose object it is.
inline constexpr char kOwnerAnnotation[] = "fairlead.dev/owner";
inline constexpr char kRevisionAnnotation[] = "fairlead.dev/revision";
// SHA-256 of what was applied, so that a field which is not sent any more is noticed.
inline constexpr char kIntentAnnotation[] = "fairlead.dev/intent";
// Any new value repeats a reconcile at once.
inline constexpr char kReconcileAnnotation[] = "fairlead.dev/reconcile";

// One agent in one cluster for one account. All its objects share a name that ends in a hash of
// (hub, AgentDeployment uid, ClusterAccount uid): no two installations meet, whoever's they are.
struct Installation {
  std::string hub_id;          // uid of the hub's namespace kube-system
  std::string deployment_uid;  // AgentDeployment
  std::string account_uid;     // ClusterAccount (the resource's uid)

  [[nodiscard]] std::string Hash() const;  // 12 hexadecimal digits
  [[nodiscard]] std::string Name() const;  // fairlead-agent-<hash>
  [[nodiscard]] std::string Owner() const;
};

// The identity under which the agent of an account enrols: readable, and different when the
// resource was made again, so that a certificate of the old one opens nothing.
std::string AgentIdentity(const std::string& hub_id, const std::string& account_name,
                          const std::string& account_uid);

}  // namespace fairlead::op
