#include "lib/wire/scope.h"

namespace fairlead::wire {

kube::ScopeRules ScopeRulesOf(const agent::v1::Scope& from) {
  kube::ScopeRules scope;
  scope.level_cluster = from.level_cluster();
  scope.namespaces.assign(from.namespaces().begin(), from.namespaces().end());
  scope.omit_namespaces.assign(from.omit_namespaces().begin(), from.omit_namespaces().end());
  scope.kinds.assign(from.kinds().begin(), from.kinds().end());
  scope.omit_kinds.assign(from.omit_kinds().begin(), from.omit_kinds().end());
  for (const agent::v1::CustomResource& one : from.custom_resources()) {
    scope.custom_resources.push_back(one.kubernetes_kind());
  }
  scope.cluster_scoped = from.cluster_scoped();
  scope.only_spinnaker_managed = from.only_spinnaker_managed();
  scope.keep_secret_data = from.keep_secret_data();
  return scope;
}

}  // namespace fairlead::wire
