#include "lib/kube/discovery.h"

#include <json/json.h>

#include <algorithm>
#include <set>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/kube/json_value.h"

namespace fairlead::kube {
namespace {

bool HasVerb(const Json::Value& resource, std::string_view verb) {
  for (const Json::Value& one : At(resource, "verbs")) {
    if (one.isString() && one.asString() == verb) return true;
  }
  return false;
}

// Versions come in order of preference; a resource is taken from the first that has it.
void AddGroup(const Json::Value& group, Discovery* out) {
  const std::string name = StringAt(At(group, "metadata"), "name");
  std::set<std::string> seen;
  bool unknown = false;
  for (const Json::Value& version : At(group, "versions")) {
    unknown = unknown || StringAt(version, "freshness") == "Stale";
    for (const Json::Value& resource : At(version, "resources")) {
      ResourceType type;
      type.group = name;
      type.version = StringAt(version, "version");
      type.resource = StringAt(resource, "resource");
      type.kind = StringAt(At(resource, "responseKind"), "kind");
      type.namespaced = StringAt(resource, "scope") == "Namespaced";
      if (type.resource.empty() || type.kind.empty() || type.version.empty()) continue;
      if (!HasVerb(resource, "list") || !HasVerb(resource, "watch")) continue;
      if (seen.insert(type.resource).second) out->resources.push_back(std::move(type));
    }
  }
  if (unknown) out->unknown_groups.push_back(name);
}

}  // namespace

absl::Status ParseDiscovery(std::string_view text, Discovery* out) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value list, json::ParseJson(text));
  if (StringAt(list, "kind") != "APIGroupDiscoveryList" || !At(list, "items").isArray()) {
    return absl::UnimplementedError(
        "the server does not answer aggregated discovery; Kubernetes 1.26 or later is needed");
  }
  for (const Json::Value& group : At(list, "items")) AddGroup(group, out);
  return absl::OkStatus();
}

}  // namespace fairlead::kube
