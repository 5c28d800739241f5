#pragma once

#include <json/value.h>

#include "operator/controllers/context.h"
#include "operator/controllers/installer.h"
#include "operator/model/conditions.h"
#include "operator/runtime/controller.h"

namespace fairlead::op {

// ClusterAccount: checks it, claims its name at the endpoint, pins its cluster, keeps its
// conditions, and on deletion withdraws it everywhere.
//
// Ready never depends on an agent; Connected and Synced speak of agents.
class AccountController {
 public:
  AccountController(Context* context, Installer* installer)
      : context_(context), installer_(installer) {}
  ReconcileResult Reconcile(const Key& key);

 private:
  struct Visit;
  // Each step says whether to go on; if not, the conditions say why.
  bool CheckSpec(Visit* visit);
  bool ProbeCluster(Visit* visit);
  bool Register(Visit* visit);
  void Look(Visit* visit);
  ReconcileResult Finish(Visit* visit);
  ReconcileResult Delete(Visit* visit);
  absl::StatusOr<bool> Withdraw(Visit* visit);
  ReconcileResult Blocked(Visit* visit, const std::string& why);

  Context* context_;
  Installer* installer_;
};

}  // namespace fairlead::op
