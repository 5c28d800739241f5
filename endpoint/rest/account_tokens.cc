#include <json/json.h>

#include "endpoint/identity/authority.h"
#include "endpoint/rest/answers.h"
#include "endpoint/rest/service.h"
#include "endpoint/store/store.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"

// Tokens with which Kubernetes clients use an account through the gateway.
namespace fairlead::endpoint {

namespace {

constexpr int64_t kMostSeconds = int64_t{10} * 365 * 86400;

Json::Value TokenJson(const store::AccountToken& token) {
  Json::Value out;
  out["name"] = token.name;
  out["createdMs"] = Json::Int64(token.created_ms);
  if (token.expires_ms != 0) out["expiresMs"] = Json::Int64(token.expires_ms);
  return out;
}

}  // namespace

void RestService::AccountTokens(const net::HttpServerRequest& request, const std::string& name,
                                const std::string& token, const Responder& responder) {
  if (token.empty() && request.method == "POST")
    return CreateAccountToken(request, name, responder);
  if (request.method != (token.empty() ? "GET" : "DELETE")) {
    return Fail(*responder, 405, "MethodNotAllowed",
                "tokens takes GET and POST, and DELETE with a token's name behind it");
  }
  WithRegistry(responder, [this, name, token, responder](registry::Registry& registry) {
    const auto account = registry.Get(name);
    if (!account.ok()) return Fail(*responder, account.status());
    if (token.empty()) {
      return options_.reads->Post([this, uid = account->uid, responder] {
        const auto tokens = options_.reader->AccountTokens(uid);
        if (!tokens.ok()) return Fail(*responder, tokens.status());
        Json::Value out;
        out["tokens"] = Json::Value(Json::arrayValue);
        for (const store::AccountToken& one : *tokens) out["tokens"].append(TokenJson(one));
        Ok(*responder, out);
      });
    }
    const absl::Status queued =
        options_.writer->Do([uid = account->uid, name, token, responder](store::Store& store) {
          const auto gone = store.RevokeAccountToken(uid, token);
          if (!gone.ok()) return Fail(*responder, gone.status());
          if (!*gone) {
            return Fail(*responder, 404, "NotFound",
                        base::StrCat("account ", name, " has no token named ", token));
          }
          Json::Value out;
          out["revoked"] = token;
          Ok(*responder, out);
        });
    if (!queued.ok()) Fail(*responder, queued);
  });
}

void RestService::CreateAccountToken(const net::HttpServerRequest& request, const std::string& name,
                                     const Responder& responder) {
  const auto body = json::ParseJson(request.body);
  if (!body.ok() || !body->isObject())
    return Fail(*responder, 400, "Invalid", "the body must be an object with \"name\"");
  if (const absl::Status keys = OnlyKeys(*body, {"name"}, "lifetimeSeconds"); !keys.ok())
    return Fail(*responder, keys);
  const Json::Value& wanted = (*body)["name"];
  const std::string token = wanted.isString() ? wanted.asString() : "";
  if (!ValidIdentity(token))
    return Fail(*responder, 400, "Invalid", "name: 1 to 63 letters, digits, '-', '_' and '.'");
  const Json::Value& lifetime = (*body)["lifetimeSeconds"];
  if (!lifetime.isNull() && (lifetime.asInt64() < 1 || lifetime.asInt64() > kMostSeconds)) {
    return Fail(*responder, 400, "Invalid", "lifetimeSeconds: from 1 to 315360000, or absent");
  }
  const int64_t seconds = lifetime.isNull() ? 0 : lifetime.asInt64();
  WithRegistry(responder, [this, name, token, seconds, responder](registry::Registry& registry) {
    const auto account = registry.Get(name);
    if (!account.ok()) return Fail(*responder, account.status());
    const absl::Status queued =
        options_.writer->Do([uid = account->uid, token, seconds, responder](store::Store& store) {
          const auto made = store.CreateAccountToken(uid, token, base::seconds(seconds));
          if (!made.ok()) return Fail(*responder, made.status());
          Json::Value out;
          out["name"] = token;
          out["token"] = *made;
          Ok(*responder, out);
        });
    if (!queued.ok()) Fail(*responder, queued);
  });
}

}  // namespace fairlead::endpoint
