#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fairlead::endpoint::registry {

struct CustomResource {
  std::string kubernetes_kind;
  bool namespaced = true;
};

struct AssumeRule {
  std::vector<std::string> namespaces;
  std::string service_account;
};

// What an account may see and do, as the operator, REST or the accounts file states it. JSON names
// are those of the ClusterAccount resource (DESIGN section 8):
//
//   {"environment": "prod", "identities": ["prod-eu1"], "pinnedClusterUid": "...",
//    "access": {"level": "Namespaces", "namespaces": ["shop"], "assume": [{"namespaces": [..],
//    "serviceAccount": ".."}]}, "scope": {"namespaces": [], "omitNamespaces": [], "kinds": [],
//    "omitKinds": [],
//              "customResources": [{"kubernetesKind": "Foo.example.com", "namespaced": true}],
//              "clusterScoped": "Watch", "onlySpinnakerManaged": false, "secretData": "Drop"},
//    "permissions": {"mode": "Restricted", "read": ["team-a"], "write": ["team-a"]},
//    "deletionProtection": {"maxPercent": 30, "maxCount": 500}, "kubeconfigSecret": "", "paused":
//    false}
struct AccountSpec {
  std::string environment;
  std::vector<std::string> identities;  // agent identities that may claim the account; at least one
  std::string pinned_cluster_uid;       // "" = the first claim's cluster is not checked

  bool level_cluster = false;                  // access.level: Cluster; required, never guessed
  std::vector<std::string> access_namespaces;  // with level Namespaces: at least one
  std::vector<AssumeRule> assume;

  std::vector<std::string> namespaces;
  std::vector<std::string> omit_namespaces;
  std::vector<std::string> kinds;
  std::vector<std::string> omit_kinds;
  std::vector<CustomResource> custom_resources;
  bool cluster_scoped = true;  // scope.clusterScoped: Watch | Ignore
  bool only_spinnaker_managed = false;
  bool keep_secret_data = false;  // scope.secretData: Drop | Keep

  bool restricted = true;  // permissions.mode, required when permissions is given
  std::vector<std::string> read;
  std::vector<std::string> write;

  uint32_t max_delete_percent = 30;
  uint64_t max_delete_count = 500;
  std::string kubeconfig_secret;
  bool paused = false;
};

// Strict: an unknown key is an error that names the nearest valid one, as is a wrong type, a value
// out of bounds or a missing required key. Bounds: 256 KiB of JSON, 10,000 items a list, names as
// in Kubernetes. Errors: InvalidArgument, with the path ("scope.namespace: unknown key; did you
// mean \"namespaces\"?").
absl::StatusOr<AccountSpec> ParseAccountSpec(std::string_view json);

// DESIGN section 11: [A-Za-z0-9][A-Za-z0-9_-]{0,62}.
bool ValidAccountName(std::string_view name);

}  // namespace fairlead::endpoint::registry
