#include "lib/kube/absence.h"

#include <json/json.h>

#include <algorithm>

#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/kube/json_value.h"

namespace fairlead::kube {
namespace {

// Null unless it is one whole list of `kind`.
Json::Value WholeList(std::string_view text, std::string_view kind) {
  auto list = json::ParseJson(text);
  const bool whole = list.ok() && StringAt(*list, "kind") == kind && At(*list, "items").isArray() &&
                     StringAt(At(*list, "metadata"), "continue").empty();
  return whole ? *std::move(list) : Json::Value();
}

}  // namespace

bool Unserved(const ResourceType& type, const Discovery& discovery) {
  // Definitions cannot be made in groups without a dot.
  if (type.group.find('.') == std::string::npos) return false;
  const auto& unknown = discovery.unknown_groups;
  if (std::find(unknown.begin(), unknown.end(), type.group) != unknown.end()) return false;
  return std::none_of(discovery.resources.begin(), discovery.resources.end(),
                      [&](const ResourceType& one) {
                        return one.group == type.group && one.resource == type.resource;
                      });
}

std::string DefinitionTarget(const ResourceType& type) {
  static const ResourceType definitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                        "CustomResourceDefinition", false};
  return ListTarget(definitions, "",
                    {.limit = 1, .name = base::StrCat(type.resource, ".", type.group)});
}

std::string ApiServicesTarget() { return "/apis/apiregistration.k8s.io/v1/apiservices"; }

std::optional<std::string> ProvenGone(const ResourceType& type, std::string_view definitions,
                                      std::string_view api_services) {
  const Json::Value none = WholeList(definitions, "CustomResourceDefinitionList");
  std::string version = StringAt(At(none, "metadata"), "resourceVersion");
  if (none.isNull() || !At(none, "items").empty() || version.empty()) return std::nullopt;
  const Json::Value services = WholeList(api_services, "APIServiceList");
  if (services.isNull()) return std::nullopt;
  for (const Json::Value& one : At(services, "items")) {
    const Json::Value& spec = At(one, "spec");
    if (StringAt(spec, "group") == type.group && !At(spec, "service").isNull()) {
      return std::nullopt;
    }
  }
  return version;
}

}  // namespace fairlead::kube
