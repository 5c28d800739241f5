#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/discovery.h"
#include "lib/kube/resource.h"

namespace fairlead::kube {

// What of a cluster an account may see (DESIGN section 8).
struct ScopeRules {
  bool level_cluster = false;           // access.level: Cluster
  std::vector<std::string> namespaces;  // with level Namespaces exactly these; else "" or a filter
  std::vector<std::string> omit_namespaces;
  std::vector<std::string> kinds;  // `kind` or `Kind.group`, ignoring ASCII case; empty = defaults
  std::vector<std::string> omit_kinds;
  std::vector<std::string> custom_resources;  // kubernetesKind, as in `kinds`; added to those
  bool cluster_scoped = true;
  bool keep_secret_data = false;
  bool only_spinnaker_managed = false;
};

// One list and watch: `name_space` "" = all namespaces (or cluster-scoped).
struct WatchTargetSpec {
  ResourceType type;
  std::string name_space;
  friend bool operator==(const WatchTargetSpec&, const WatchTargetSpec&) = default;
};

struct WatchPlan {
  std::vector<WatchTargetSpec> watches;
  // Kinds asked for by name that the cluster does not have. A kind that may be of a group the
  // cluster could not describe now is not among them.
  std::vector<std::string> missing;
};

// Pure. A kind without a group in its name is the native one; a kind named with a group any. Native
// groups have no dot, or end in .k8s.io.
WatchPlan PlanWatches(const ScopeRules& scope, const Discovery& discovery);

// Whether an object of `name_space` belongs to the scope (omitted namespaces are filtered here, as
// no watch can exclude one).
bool InScope(const ScopeRules& scope, std::string_view name_space);

// Positions carry this: 16 bytes over everything that changes which objects a watch gives and what
// their bodies look like. Another hash means another snapshot.
std::string RulesHash(const ScopeRules& scope, const ResourceType& type,
                      uint32_t cut_rules_version);

}  // namespace fairlead::kube
