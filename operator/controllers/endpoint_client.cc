#include "operator/controllers/endpoint_client.h"

#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/net/http.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr base::Duration kRenewAfter = base::minutes(12 * 60);

absl::Status ErrorOf(const rest::Answer& answer) {
  std::string reason;
  std::string message = StrCat("HTTP ", answer.code);
  if (const auto body = json::ParseJson(answer.body);
      body.ok() && body->isObject() && (*body)["error"].isObject()) {
    reason = (*body)["error"]["reason"].asString();
    message = (*body)["error"]["message"].asString();
  }
  if (reason == "NameTaken") return absl::AlreadyExistsError(message);
  if (answer.code == 400) return absl::InvalidArgumentError(message);
  if (answer.code == 401 || answer.code == 403) return absl::PermissionDeniedError(message);
  if (answer.code == 404) return absl::NotFoundError(message);
  if (answer.code == 409) return absl::FailedPreconditionError(message);
  return absl::UnavailableError(message);
}

// "2 objects are refused: configmaps shop/a: too long; pods shop/b: ...".
std::string RefusedText(const Json::Value& status) {
  const uint64_t count = status["refused"].isUInt64() ? status["refused"].asUInt64() : 0;
  if (count == 0) return "";
  std::string text =
      StrCat(count, count == 1 ? " object is refused" : " objects are refused", ": ");
  if (!status["refusedObjects"].isArray()) return text;
  for (const Json::Value& one : status["refusedObjects"]) {
    if (one.isString()) text += StrCat(text.ends_with(": ") ? "" : "; ", one.asString());
  }
  return text;
}

RegisteredAccount Read(const Json::Value& from) {
  RegisteredAccount out;
  out.uid = from["uid"].asString();
  out.owner = from["owner"].asString();
  const Json::Value& status = from["status"];
  out.connected = status["connected"].asBool();
  out.revision = status["revision"].asString();
  out.synced = out.connected && status["synced"].asBool();
  out.refused = RefusedText(status);
  return out;
}

// The object in a successful answer.
absl::StatusOr<Json::Value> BodyOf(const absl::StatusOr<rest::Answer>& answer) {
  if (!answer.ok()) return answer.status();
  if (!answer->ok()) return ErrorOf(*answer);
  FAIRLEAD_ASSIGN_OR_RETURN(Json::Value body, json::ParseJson(answer->body));
  if (!body.isObject()) return absl::UnavailableError("the endpoint's answer is no object");
  return body;
}

std::string PathOf(const std::string& name) {
  return StrCat("/v1/accounts/", net::PercentEncode(name));
}

}  // namespace

absl::StatusOr<rest::Answer> EndpointClient::Call(std::string_view method, const std::string& path,
                                                  const std::string& body) {
  if (method != "GET" && may_write_ && !may_write_()) {
    return absl::UnavailableError("this process is not the leader; nothing was sent");
  }
  std::shared_ptr<rest::Client> client;
  {
    const base::MutexLock lock(mutex_);
    const base::Time now = base::Clock::Real().Now();
    if (!client_ || now - made_ > kRenewAfter) {
      FAIRLEAD_ASSIGN_OR_RETURN(client_, make_client_());
      made_ = now;
    }
    client = client_;
  }
  return client->Call(method, path, body);
}

absl::StatusOr<Json::Value> EndpointClient::Show(const std::string& name) {
  return BodyOf(Call("GET", PathOf(name), ""));
}

absl::StatusOr<RegisteredAccount> EndpointClient::Get(const std::string& name) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value account, Show(name));
  return Read(account);
}

absl::StatusOr<RegisteredAccount> EndpointClient::Put(const AccountRegistration& account) {
  Json::Value body;
  body["owner"] = account.owner;
  body["ownerUid"] = account.owner_uid;
  body["generation"] = Json::Int64(account.generation);
  FAIRLEAD_ASSIGN_OR_RETURN(body["spec"], json::ParseJson(account.spec_json));
  const auto known = Show(account.name);
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  if (known.ok()) {
    const auto same = [&](const char* key) { return (*known)[key] == body[key]; };
    if (same("owner") && same("ownerUid") && same("generation") && same("spec")) {
      return Read(*known);
    }
    if (same("owner") && !same("ownerUid")) body["previousOwnerUid"] = (*known)["ownerUid"];
  }
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value put,
                            BodyOf(Call("PUT", PathOf(account.name), json::WriteJson(body))));
  return Read(put);
}

absl::Status EndpointClient::Delete(const std::string& name, const std::string& owner) {
  const auto known = Get(name);
  if (absl::IsNotFound(known.status())) return absl::OkStatus();
  if (!known.ok()) return known.status();
  if (known->owner != owner) return absl::OkStatus();
  const auto answer = Call("DELETE",
                           StrCat(PathOf(name), "?uid=", net::PercentEncode(known->uid),
                                  "&owner=", net::PercentEncode(owner)),
                           "");
  if (!answer.ok()) return answer.status();
  return answer->ok() || answer->code == 404 ? absl::OkStatus() : ErrorOf(*answer);
}

absl::StatusOr<std::string> EndpointClient::CreateToken(const std::string& identity,
                                                        int64_t lifetime_seconds) {
  Json::Value body;
  body["identity"] = identity;
  body["lifetimeSeconds"] = Json::Int64(lifetime_seconds);
  FAIRLEAD_ASSIGN_OR_RETURN(const rest::Answer answer,
                            Call("POST", "/v1/enrolment-tokens", json::WriteJson(body)));
  if (!answer.ok()) return ErrorOf(answer);
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value out, json::ParseJson(answer.body));
  return out["token"].asString();
}

absl::StatusOr<std::map<std::string, RegisteredAccount>> EndpointClient::List() {
  FAIRLEAD_ASSIGN_OR_RETURN(const rest::Answer answer, Call("GET", "/v1/accounts", ""));
  if (!answer.ok()) return ErrorOf(answer);
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value body, json::ParseJson(answer.body));
  std::map<std::string, RegisteredAccount> out;
  for (const Json::Value& one : body["accounts"]) out[one["name"].asString()] = Read(one);
  return out;
}

}  // namespace fairlead::op
