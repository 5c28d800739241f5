#include "endpoint/rest/answers.h"

#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::endpoint {

void Fail(net::HttpResponder& responder, int status, std::string_view reason,
          std::string_view message) {
  Json::Value body;
  body["error"]["reason"] = std::string(reason);
  body["error"]["message"] = std::string(message);
  responder.Send(status, kJson, json::WriteJson(body) + "\n");
}

void Fail(net::HttpResponder& responder, const absl::Status& status) {
  const std::string_view message = base::View(status.message());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return Fail(responder, 400, "Invalid", message);
    case absl::StatusCode::kNotFound:
      return Fail(responder, 404, "NotFound", message);
    case absl::StatusCode::kAlreadyExists:
      return Fail(responder, 409, "NameTaken", message);
    case absl::StatusCode::kFailedPrecondition:
      return Fail(responder, 409, "Conflict", message);
    case absl::StatusCode::kPermissionDenied:
      return Fail(responder, 403, "Forbidden", message);
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return Fail(responder, 503, "Unavailable", message);
    default:
      return Fail(responder, 500, "Internal", message);
  }
}

void Ok(net::HttpResponder& responder, const Json::Value& body) {
  responder.Send(200, kJson, json::WriteJson(body) + "\n");
}

Json::Value KindJson(const store::Kind& kind) {
  Json::Value out;
  out["group"] = kind.group;
  out["version"] = kind.version;
  out["resource"] = kind.resource;
  out["kind"] = kind.kind;
  return out;
}

}  // namespace fairlead::endpoint
