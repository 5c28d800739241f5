#pragma once

#include <compare>
#include <string>
#include <string_view>

// A kind of object as discovery names it, and the request targets that reach it.
// Source: Kubernetes "API concepts", resource URIs.
namespace fairlead::kube {

struct ResourceType {
  std::string group;  // "" = core
  std::string version;
  std::string resource;  // plural
  std::string kind;
  bool namespaced = true;
  friend auto operator<=>(const ResourceType&, const ResourceType&) = default;
};

// "/apis/apps/v1/namespaces/shop/deployments" or, with a name, ".../deployments/web".
// `name_space` "" = all namespaces, or a cluster-scoped resource.
std::string CollectionPath(const ResourceType& type, std::string_view name_space);
std::string ObjectPath(const ResourceType& type, std::string_view name_space,
                       std::string_view name);

// Query parts; values are percent-encoded.
struct ListQuery {
  int limit = 0;
  std::string continue_token;
  std::string resource_version;  // with `exact` only
  bool exact = false;
  std::string name;  // fieldSelector metadata.name
};
std::string ListTarget(const ResourceType& type, std::string_view name_space,
                       const ListQuery& query);
std::string WatchTarget(const ResourceType& type, std::string_view name_space,
                        std::string_view resource_version, int timeout_seconds);

}  // namespace fairlead::kube
