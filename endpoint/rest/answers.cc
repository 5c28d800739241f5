#include "endpoint/rest/answers.h"

#include <algorithm>

#include "lib/base/strings.h"
#include "lib/base/suggest.h"
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

absl::Status OnlyKeys(const Json::Value& body, const std::vector<std::string>& texts,
                      const std::string& number, const std::vector<std::string>& others) {
  std::vector<std::string> known = texts;
  known.push_back(number);
  known.insert(known.end(), others.begin(), others.end());
  for (const std::string& key : body.getMemberNames()) {
    if (std::find(texts.begin(), texts.end(), key) != texts.end() && !body[key].isString()) {
      return absl::InvalidArgumentError(base::StrCat(key, ": must be a text"));
    }
    if (key == number && !body[key].isInt64()) {
      return absl::InvalidArgumentError(base::StrCat(key, ": must be a whole number"));
    }
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string nearest(base::Nearest(key, known));
    return absl::InvalidArgumentError(
        base::StrCat(key, ": unknown key",
                     nearest.empty() ? "" : base::StrCat("; did you mean \"", nearest, "\"?")));
  }
  return absl::OkStatus();
}

}  // namespace fairlead::endpoint
