#include "lib/kube/requests.h"

#include <json/value.h>

#include <utility>

#include "absl/status/status.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::kube {
namespace {

using base::StrCat;

bool IsSegment(std::string_view text) {
  return !text.empty() && text.size() <= 253 && text != "." && text != ".." &&
         text.find_first_of("/%") == std::string_view::npos;
}

absl::Status CheckNamespace(const ObjectName& object) {
  if (!IsSegment(object.type.resource) || !IsSegment(object.type.version)) {
    return absl::InvalidArgumentError("a request needs a resource and its version");
  }
  if (object.type.namespaced && !IsSegment(object.name_space)) {
    return absl::InvalidArgumentError(StrCat(object.type.resource, ": not a namespace's name"));
  }
  return absl::OkStatus();
}

absl::StatusOr<net::HttpRequest> Request(const char* method, const ObjectName& object,
                                         std::string_view subresource = "") {
  FAIRLEAD_RETURN_IF_ERROR(CheckNamespace(object));
  if (!IsSegment(object.name)) {
    return absl::InvalidArgumentError(StrCat(object.type.resource, ": not an object's name"));
  }
  net::HttpRequest request;
  request.method = method;
  request.target = ObjectPath(object.type, object.name_space, object.name);
  if (!subresource.empty()) request.target += StrCat("/", net::PercentEncode(subresource));
  request.headers = {{"accept", "application/json"}};
  return request;
}

void AddBody(std::string body, const char* type, std::string_view field_manager,
             net::HttpRequest* request) {
  request->headers.emplace_back("content-type", type);
  request->body = std::move(body);
  if (!field_manager.empty()) {
    request->target += StrCat("?fieldManager=", net::PercentEncode(field_manager));
  }
}

absl::StatusOr<net::HttpRequest> Patch(const ObjectName& object, std::string patch,
                                       const char* type, std::string_view field_manager,
                                       std::string_view subresource) {
  FAIRLEAD_ASSIGN_OR_RETURN(net::HttpRequest request, Request("PATCH", object, subresource));
  AddBody(std::move(patch), type, field_manager, &request);
  return request;
}

}  // namespace

absl::StatusOr<net::HttpRequest> GetRequest(const ObjectName& object) {
  return Request("GET", object);
}

absl::StatusOr<net::HttpRequest> CreateRequest(const ObjectName& object, std::string body,
                                               std::string_view field_manager) {
  FAIRLEAD_RETURN_IF_ERROR(CheckNamespace(object));
  net::HttpRequest request;
  request.method = "POST";
  request.target = CollectionPath(object.type, object.name_space);
  request.headers = {{"accept", "application/json"}};
  AddBody(std::move(body), "application/json", field_manager, &request);
  return request;
}

absl::StatusOr<net::HttpRequest> ReplaceRequest(const ObjectName& object, std::string body,
                                                std::string_view field_manager,
                                                std::string_view subresource) {
  FAIRLEAD_ASSIGN_OR_RETURN(net::HttpRequest request, Request("PUT", object, subresource));
  AddBody(std::move(body), "application/json", field_manager, &request);
  return request;
}

absl::StatusOr<net::HttpRequest> ApplyRequest(const ObjectName& object, std::string body,
                                              std::string_view field_manager, bool force,
                                              std::string_view subresource) {
  if (field_manager.empty()) {
    return absl::InvalidArgumentError("server-side apply needs a field manager");
  }
  FAIRLEAD_ASSIGN_OR_RETURN(
      net::HttpRequest request,
      Patch(object, std::move(body), "application/apply-patch+yaml", field_manager, subresource));
  if (force) request.target += "&force=true";
  return request;
}

absl::StatusOr<net::HttpRequest> MergePatchRequest(const ObjectName& object, std::string patch,
                                                   std::string_view field_manager,
                                                   std::string_view subresource) {
  return Patch(object, std::move(patch), "application/merge-patch+json", field_manager,
               subresource);
}

absl::StatusOr<net::HttpRequest> JsonPatchRequest(const ObjectName& object, std::string patch,
                                                  std::string_view field_manager,
                                                  std::string_view subresource) {
  return Patch(object, std::move(patch), "application/json-patch+json", field_manager, subresource);
}

absl::StatusOr<net::HttpRequest> DeleteRequest(const ObjectName& object,
                                               const DeleteConditions& conditions) {
  FAIRLEAD_ASSIGN_OR_RETURN(net::HttpRequest request, Request("DELETE", object));
  Json::Value options;
  options["apiVersion"] = "v1";
  options["kind"] = "DeleteOptions";
  options["propagationPolicy"] = conditions.propagation;
  if (conditions.grace_seconds) options["gracePeriodSeconds"] = *conditions.grace_seconds;
  if (!conditions.uid.empty()) options["preconditions"]["uid"] = conditions.uid;
  if (!conditions.resource_version.empty()) {
    options["preconditions"]["resourceVersion"] = conditions.resource_version;
  }
  AddBody(json::WriteJson(options), "application/json", "", &request);
  return request;
}

}  // namespace fairlead::kube
