#include "lib/kube/kinds.h"

#include <algorithm>

#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace fairlead::kube {
namespace {

// What Spinnaker shows: workloads, their traffic, and the kinds that name the rest.
constexpr const char* kDefaultKinds[] = {"Pod",           "ReplicaSet", "Deployment",
                                         "StatefulSet",   "DaemonSet",  "Job",
                                         "CronJob",       "Service",    "Ingress",
                                         "NetworkPolicy", "Namespace",  "CustomResourceDefinition"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return lower;
}

bool Native(std::string_view group) {
  return group.find('.') == std::string_view::npos || group.ends_with(".k8s.io");
}

// `name` is "kind" or "Kind.group".
bool Matches(std::string_view name, const ResourceType& type) {
  const size_t dot = name.find('.');
  if (Lower(name.substr(0, dot)) != Lower(type.kind)) return false;
  if (dot == std::string_view::npos) return Native(type.group);
  return Lower(name.substr(dot + 1)) == type.group;
}

bool MayBeOf(std::string_view name, std::string_view group) {
  const size_t dot = name.find('.');
  return dot == std::string_view::npos ? Native(group) : Lower(name.substr(dot + 1)) == group;
}

bool AnyMatches(const std::vector<std::string>& names, const ResourceType& type) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return Matches(name, type); });
}

bool Contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void AppendSorted(std::vector<std::string> list, std::string* out) {
  std::sort(list.begin(), list.end());
  for (const std::string& one : list) *out += base::StrCat(one.size(), ":", one, ",");
  *out += ';';
}

}  // namespace

bool InScope(const ScopeRules& scope, std::string_view name_space) {
  if (name_space.empty()) return scope.cluster_scoped;
  if (Contains(scope.omit_namespaces, name_space)) return false;
  return scope.namespaces.empty() ? scope.level_cluster : Contains(scope.namespaces, name_space);
}

WatchPlan PlanWatches(const ScopeRules& scope, const Discovery& discovery) {
  std::vector<std::string> wanted = scope.kinds;
  if (wanted.empty()) wanted.assign(std::begin(kDefaultKinds), std::end(kDefaultKinds));
  wanted.insert(wanted.end(), scope.custom_resources.begin(), scope.custom_resources.end());

  WatchPlan plan;
  for (const ResourceType& type : discovery.resources) {
    // events.k8s.io shows the same objects as core Event once more.
    if (type.group == "events.k8s.io") continue;
    if (!AnyMatches(wanted, type) || AnyMatches(scope.omit_kinds, type)) continue;
    if (!type.namespaced) {
      if (scope.cluster_scoped && scope.level_cluster) plan.watches.push_back({type, ""});
    } else if (scope.level_cluster && scope.namespaces.empty()) {
      plan.watches.push_back({type, ""});
    } else {
      for (const std::string& name_space : scope.namespaces) {
        if (Contains(scope.omit_namespaces, name_space)) continue;
        plan.watches.push_back({type, name_space});
      }
    }
  }
  const auto found = [&](const std::string& name) {
    return std::any_of(discovery.resources.begin(), discovery.resources.end(),
                       [&](const ResourceType& type) { return Matches(name, type); }) ||
           std::any_of(discovery.unknown_groups.begin(), discovery.unknown_groups.end(),
                       [&](const std::string& group) { return MayBeOf(name, group); });
  };
  for (const std::vector<std::string>* list : {&scope.kinds, &scope.custom_resources}) {
    for (const std::string& name : *list) {
      if (!found(name)) plan.missing.push_back(name);
    }
  }
  return plan;
}

std::string RulesHash(const ScopeRules& scope, const ResourceType& type,
                      uint32_t cut_rules_version) {
  std::string text = base::StrCat("v1;", cut_rules_version, ";", type.version, ";",
                                  scope.only_spinnaker_managed ? "m;" : ";");
  const bool secret = type.group.empty() && type.resource == "secrets";
  text += secret && scope.keep_secret_data ? "s;" : ";";
  AppendSorted(scope.omit_namespaces, &text);
  return base::ToBytes(base::Sha256Trunc128(text));
}

}  // namespace fairlead::kube
