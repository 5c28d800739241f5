#include "lib/kube/resource.h"

#include "lib/base/strings.h"
#include "lib/net/http.h"

namespace fairlead::kube {

using base::StrCat;
using net::PercentEncode;

std::string CollectionPath(const ResourceType& type, std::string_view name_space) {
  std::string path = type.group.empty() ? StrCat("/api/", PercentEncode(type.version))
                                        : StrCat("/apis/", PercentEncode(type.group), "/",
                                                 PercentEncode(type.version));
  if (type.namespaced && !name_space.empty()) {
    path += StrCat("/namespaces/", PercentEncode(name_space));
  }
  return StrCat(path, "/", PercentEncode(type.resource));
}

std::string ObjectPath(const ResourceType& type, std::string_view name_space,
                       std::string_view name) {
  return StrCat(CollectionPath(type, name_space), "/", PercentEncode(name));
}

std::string ListTarget(const ResourceType& type, std::string_view name_space,
                       const ListQuery& query) {
  std::string target = CollectionPath(type, name_space);
  char separator = '?';
  const auto add = [&](std::string_view key, std::string_view value) {
    target += StrCat(separator, key, "=", PercentEncode(value));
    separator = '&';
  };
  if (query.limit > 0) add("limit", std::to_string(query.limit));
  if (!query.continue_token.empty()) add("continue", query.continue_token);
  if (query.exact) {
    add("resourceVersion", query.resource_version);
    add("resourceVersionMatch", "Exact");
  }
  if (!query.name.empty()) add("fieldSelector", StrCat("metadata.name=", query.name));
  return target;
}

std::string WatchTarget(const ResourceType& type, std::string_view name_space,
                        std::string_view resource_version, int timeout_seconds) {
  return StrCat(CollectionPath(type, name_space), "?watch=1&allowWatchBookmarks=true",
                "&timeoutSeconds=", timeout_seconds,
                "&resourceVersion=", PercentEncode(resource_version));
}

}  // namespace fairlead::kube
