#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "operator/controllers/context.h"
#include "operator/model/agent_objects.h"
#include "operator/runtime/controller.h"

namespace fairlead::op {

// Puts the agent of one account into its cluster, watches it come up, corrects what others change,
// and takes it away. Which revision, and when, is decided elsewhere: it installs what
// status.agent.targetRevision says and nothing else, and reports what it saw to Observations.
class Installer {
 public:
  explicit Installer(Context* context) : context_(context) {}

  // Key: a ClusterAccount.
  ReconcileResult Reconcile(const Key& key);

  // The revision the account would get now, and its objects. InvalidArgument: a profile that is not
  // configured.
  absl::StatusOr<RenderedAgent> Render(const api::ClusterAccount& account,
                                       const api::AgentDeployment& deployment) const;

  // Removes all that was installed, workload first; true when nothing is left. Hold the account's
  // lock.
  absl::StatusOr<bool> Remove(const api::ClusterAccount& account, const std::string& deployment_uid,
                              const std::string& target_namespace);

 private:
  struct Visit;
  // False: nothing is to be installed. Hold the account's lock.
  bool Begin(const Key& key, const std::string& uid, Visit* visit) const;
  [[nodiscard]] RenderInput InputFor(const Visit& visit) const;
  void Install(Visit* visit);
  absl::Status EnsureAll(Visit* visit);
  absl::Status EnsurePlace(Visit* visit);
  absl::Status EnsureBootstrap(Visit* visit);
  absl::Status PruneBindings(Visit* visit);
  absl::Status Observe(Visit* visit);

  Context* context_;
};

}  // namespace fairlead::op
