#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/kube/resource.h"
#include "lib/net/http.h"

// Requests about one object. Sources: Kubernetes "API concepts", "Server-Side Apply", RFC 6902 and
// 7386 for the patches.
namespace fairlead::kube {

// InvalidArgument, never another object's target: for a name or namespace that is empty where it
// must not be, or that is no path segment ("..", "a/b"), as names may come from anybody.
struct ObjectName {
  ResourceType type;
  std::string name_space;  // "" for cluster-scoped ones
  std::string name;
};

absl::StatusOr<net::HttpRequest> GetRequest(const ObjectName& object);

// `body` is the object; its name may be left to the server (generateName), so `object.name` is not
// read.
absl::StatusOr<net::HttpRequest> CreateRequest(const ObjectName& object, std::string body,
                                               std::string_view field_manager);

// PUT; the body's resourceVersion makes it conditional. `subresource` is "" or like "status".
absl::StatusOr<net::HttpRequest> ReplaceRequest(const ObjectName& object, std::string body,
                                                std::string_view field_manager,
                                                std::string_view subresource = "");

// Server-side apply of `body` (JSON is YAML). `force` takes over fields of other managers.
absl::StatusOr<net::HttpRequest> ApplyRequest(const ObjectName& object, std::string body,
                                              std::string_view field_manager, bool force,
                                              std::string_view subresource = "");

absl::StatusOr<net::HttpRequest> MergePatchRequest(const ObjectName& object, std::string patch,
                                                   std::string_view field_manager,
                                                   std::string_view subresource = "");

absl::StatusOr<net::HttpRequest> JsonPatchRequest(const ObjectName& object, std::string patch,
                                                  std::string_view field_manager,
                                                  std::string_view subresource = "");

struct DeleteConditions {
  // Refused with 409 unless the object has these; "" = whatever it has.
  std::string uid;
  std::string resource_version;
  std::string propagation = "Background";  // Foreground | Orphan
  std::optional<int> grace_seconds;
};
absl::StatusOr<net::HttpRequest> DeleteRequest(const ObjectName& object,
                                               const DeleteConditions& conditions = {});

}  // namespace fairlead::kube
