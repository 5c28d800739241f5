#pragma once

#include <json/value.h>

#include <vector>

#include "operator/controllers/context.h"
#include "operator/controllers/installer.h"
#include "operator/rollout/plan.h"
#include "operator/runtime/controller.h"

namespace fairlead::op {

// AgentDeployment: decides which accounts it serves and which revision each gets next (by
// rollout::MakePlan), persists that in the accounts' status.agent, and sums up. What is persisted
// there the Installer carries out.
class DeploymentController {
 public:
  DeploymentController(Context* context, Installer* installer)
      : context_(context), installer_(installer) {}
  ReconcileResult Reconcile(const Key& key);

 private:
  struct Visit;
  bool CheckSpec(Visit* visit);
  void ResolveAccounts(Visit* visit);
  bool Claim(Visit* visit, const api::ClusterAccount& account);
  bool Release(Visit* visit, const api::ClusterAccount& account);
  std::optional<rollout::Target> TargetOf(Visit* visit, const api::ClusterAccount& account);
  void Roll(Visit* visit);
  void SumUp(Visit* visit, const rollout::Plan& plan);
  ReconcileResult Finish(Visit* visit);
  ReconcileResult Delete(Visit* visit);
  // Aborted: the account is not as it was when `account` was read.
  absl::Status WriteAgent(const api::ClusterAccount& account, const api::AccountAgent& agent);
  static void Wrote(Visit* visit, const absl::Status& status);

  Context* context_;
  Installer* installer_;
};

}  // namespace fairlead::op
