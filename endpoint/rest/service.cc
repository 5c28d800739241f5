#include "endpoint/rest/service.h"

#include <json/json.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "endpoint/identity/authority.h"
#include "endpoint/rest/answers.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/base/suggest.h"
#include "lib/json/dom.h"

namespace fairlead::endpoint {

using base::StrCat;

namespace {

constexpr size_t kMostWatchers = 64;
constexpr size_t kMostQueued = size_t{4} << 20;

bool SameSecret(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Role RoleNamed(std::string_view name) {
  if (name == "admin") return Role::kAdmin;
  if (name == "operator") return Role::kOperator;
  return name == "viewer" ? Role::kViewer : Role::kNone;
}

Json::Value Strings(const std::vector<std::string>& list) {
  Json::Value out(Json::arrayValue);
  for (const std::string& one : list) out.append(one);
  return out;
}

std::string Text(const Json::Value& body, const char* key) {
  return body[key].isString() ? body[key].asString() : "";
}

}  // namespace

Role RoleOf(const net::HttpServerRequest& request, const Config& config) {
  const std::string prefix = StrCat("spiffe://", config.trust_domain, "/role/");
  for (const std::string& uri : request.peer_uris) {
    if (uri.starts_with(prefix)) return RoleNamed(std::string_view(uri).substr(prefix.size()));
  }
  const std::string_view header = net::FindHeader(request.headers, "authorization");
  constexpr std::string_view kBearer = "Bearer ";
  Role role = Role::kNone;
  if (header.starts_with(kBearer)) {
    const std::string hash = base::Sha256Hex(header.substr(kBearer.size()));
    for (const StaticToken& token : config.tokens) {
      if (SameSecret(hash, token.sha256)) role = RoleNamed(token.role);
    }
  }
  if (role == Role::kNone && config.plaintext_loopback && config.tokens.empty())
    return Role::kAdmin;
  return role;
}

RestService::RestService(const RestOptions& options) : options_(options) {
  // A watcher's silence is told from its death.
  struct Again {
    static void Arm(RestService* self) {
      self->keepalive_ = self->options_.loop->After(base::seconds(15), [self] {
        for (const Responder& watcher : self->watchers_) watcher->Write("\n");
        std::erase_if(self->watchers_, [](const Responder& one) { return one->closed(); });
        Arm(self);
      });
    }
  };
  options_.loop->Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.lock()) Again::Arm(this);
  });
}

RestService::~RestService() = default;

void RestService::Handle(const net::HttpServerRequest& request, Responder responder) {
  const std::string& path = request.path;
  if (path == "/healthz") return responder->Send(200, "text/plain", "ok\n");
  if (path == "/readyz") return Readiness(responder);
  if (options_.gateway != nullptr && path.starts_with("/clusters/"))
    return options_.gateway->Handle(request, responder);
  const Role role = RoleOf(request, *options_.config);
  if (role == Role::kNone) {
    return Fail(*responder, 401, "Unauthorized",
                "show a client certificate with a role or a bearer token of the configuration");
  }
  const bool reads = request.method == "GET";
  if (!reads && role == Role::kViewer)
    return Fail(*responder, 403, "Forbidden", "this role only reads");
  if (path == "/metrics" && reads) {
    return responder->Send(200, "text/plain; version=0.0.4", options_.metrics->Render());
  }
  if (path == "/v1/accounts" && reads) return ListAccounts(request, responder);
  constexpr std::string_view kAccount = "/v1/accounts/";
  if (path.starts_with(kAccount)) {
    const std::string_view rest = std::string_view(path).substr(kAccount.size());
    const size_t slash = rest.find('/');
    std::string name;
    if (!net::PercentDecode(rest.substr(0, slash), &name) || !registry::ValidAccountName(name)) {
      return Fail(*responder, 400, "Invalid",
                  "account names are 1 to 63 letters, digits, '_' and '-'");
    }
    if (slash == std::string_view::npos) return Account(request, name, responder);
    const std::string_view action = rest.substr(slash + 1);
    if (action == "tokens") return AccountTokens(request, name, "", responder);
    if (action.starts_with("tokens/"))
      return AccountTokens(request, name, std::string(action.substr(7)), responder);
    return AccountAction(request, name, std::string(rest.substr(slash + 1)), responder);
  }
  if (path == "/v1/objects" && reads) return Objects(request, responder);
  if (path == "/v1/enrolment-tokens" && request.method == "POST")
    return CreateToken(request, responder);
  Fail(*responder, 404, "NotFound",
       StrCat(request.method, " ", path, ": no such path; see docs/reference/rest.md"));
}

void RestService::Readiness(const Responder& responder) {
  std::string problem = options_.writer->problem();
  if (problem.empty() && options_.problem) problem = options_.problem();
  if (problem.empty()) return responder->Send(200, "text/plain", "ok\n");
  responder->Send(503, "text/plain", StrCat("store: ", problem, "\n"));
}

void RestService::WithRegistry(const Responder& responder,
                               std::function<void(registry::Registry&)> task) {
  const absl::Status queued = options_.writer->Do(
      [registry = options_.registry, task = std::move(task)](store::Store&) { task(*registry); });
  if (!queued.ok()) Fail(*responder, queued);
}

std::string RestService::AccountText(const registry::Account& account, bool with_spec) const {
  const AccountLive live = options_.board->Get(account.uid);
  Json::Value out;
  out["name"] = account.name;
  out["uid"] = base::ToHex(account.uid);
  out["owner"] = account.owner;
  out["ownerUid"] = account.owner_uid;
  out["generation"] = Json::Int64(account.generation);
  out["hash"] = account.hash;
  if (with_spec) {
    if (const auto spec = json::ParseJson(account.spec_json); spec.ok()) out["spec"] = *spec;
  }
  Json::Value& status = out["status"];
  status["connected"] = live.granted;
  status["standbys"] = live.standbys;
  status["identity"] = live.identity;
  status["instance"] = live.instance;
  status["agentVersion"] = live.agent_version;
  status["revision"] = live.revision;
  status["zone"] = live.zone;
  status["clusterUid"] = live.cluster_uid;
  status["kubernetesVersion"] = live.kubernetes_version;
  status["state"] = live.state;
  status["detail"] = live.detail;
  status["kinds"] = Strings(live.kinds);
  status["synced"] = live.synced;
  status["refused"] = Json::UInt64(live.refused);
  status["refusedObjects"] = Strings(live.refused_objects);
  return json::WriteJson(out);
}

void RestService::Account(const net::HttpServerRequest& request, const std::string& name,
                          const Responder& responder) {
  if (request.method == "PUT") return PutAccount(request, name, responder);
  if (request.method == "DELETE") return DeleteAccount(request, name, responder);
  if (request.method != "GET") {
    return Fail(*responder, 405, "MethodNotAllowed", "an account takes GET, PUT and DELETE");
  }
  WithRegistry(responder, [this, name, responder](registry::Registry& registry) {
    const auto account = registry.Get(name);
    if (!account.ok()) return Fail(*responder, account.status());
    responder->Send(200, kJson, AccountText(*account, true) + "\n");
  });
}

void RestService::PutAccount(const net::HttpServerRequest& request, const std::string& name,
                             const Responder& responder) {
  const auto body = json::ParseJson(request.body);
  if (!body.ok()) return Fail(*responder, body.status());
  if (!body->isObject() || !(*body)["spec"].isObject()) {
    return Fail(*responder, 400, "Invalid", "the body must be an object with \"spec\"");
  }
  if (const absl::Status keys =
          OnlyKeys(*body, {"owner", "ownerUid", "previousOwnerUid"}, "generation", {"spec"});
      !keys.ok()) {
    return Fail(*responder, keys);
  }
  registry::PutRequest put;
  put.name = name;
  put.owner = Text(*body, "owner");
  if (put.owner.empty()) put.owner = "rest";
  put.owner_uid = Text(*body, "ownerUid");
  put.previous_owner_uid = Text(*body, "previousOwnerUid");
  put.generation = (*body)["generation"].asInt64();  // absent: 0
  put.spec_json = json::WriteJson((*body)["spec"]);
  WithRegistry(responder, [this, put, responder](registry::Registry& registry) {
    const auto account = registry.Put(put);
    if (!account.ok()) return Fail(*responder, account.status());
    responder->Send(200, kJson, AccountText(*account, true) + "\n");
    AccountChanged(put.name);
  });
}

void RestService::DeleteAccount(const net::HttpServerRequest& request, const std::string& name,
                                const Responder& responder) {
  base::U128 uid;
  if (!base::FromHex(net::QueryValue(request.query, "uid"), &uid)) {
    return Fail(*responder, 400, "Invalid",
                "say which account: DELETE needs ?uid=, as GET shows it");
  }
  std::string owner = net::QueryValue(request.query, "owner");
  if (owner.empty()) owner = "rest";
  WithRegistry(responder, [this, name, uid, owner, responder](registry::Registry& registry) {
    const absl::Status status = registry.Delete(name, uid, owner);
    if (!status.ok()) return Fail(*responder, status);
    responder->Send(200, kJson, "{}\n");
    AccountChanged(name);
  });
}

// A watch begins with the list, as lines {"type": "PUT", "account": ...}, then "SYNCED", then
// changes; an empty line every 15 s says that the stream lives.
void RestService::ListAccounts(const net::HttpServerRequest& request, const Responder& responder) {
  const bool watch = net::QueryValue(request.query, "watch") == "true";
  if (watch && watchers_.size() + watchers_to_be_ >= kMostWatchers) {
    return Fail(*responder, 503, "Unavailable", "too many watches of the accounts");
  }
  if (watch) ++watchers_to_be_;
  WithRegistry(responder, [this, watch, responder](registry::Registry& registry) {
    const auto accounts = registry.List();
    if (!accounts.ok()) {
      Fail(*responder, accounts.status());
      if (!watch) return;
      return options_.loop->Post([this, alive = std::weak_ptr(alive_)] {
        if (alive.lock()) --watchers_to_be_;
      });
    }
    std::string text = watch ? "" : "{\"accounts\":[";
    for (size_t i = 0; i < accounts->size(); ++i) {
      const std::string one = AccountText((*accounts)[i], false);
      text += watch ? StrCat("{\"type\":\"PUT\",\"account\":", one, "}\n")
                    : StrCat(i > 0 ? "," : "", one);
    }
    if (!watch) return responder->Send(200, kJson, text + "]}\n");
    responder->Begin(200, "application/x-ndjson");
    responder->Write(text + "{\"type\":\"SYNCED\"}\n");
    options_.loop->Post([this, alive = std::weak_ptr(alive_), responder] {
      if (!alive.lock()) return;
      --watchers_to_be_;
      watchers_.push_back(responder);
    });
  });
}

void RestService::AccountChanged(const std::string& name) {
  options_.loop->Post([this, alive = std::weak_ptr(alive_), name] {
    if (!alive.lock()) return;
    std::erase_if(watchers_, [](const Responder& one) {
      return one->closed() || one->QueuedBytes() > kMostQueued;
    });
    if (watchers_.empty()) return;
    const absl::Status ignored = options_.writer->Do(
        [this, registry = options_.registry, name, watchers = watchers_](store::Store&) {
          const auto account = registry->Get(name);
          std::string line =
              account.ok()
                  ? StrCat("{\"type\":\"PUT\",\"account\":", AccountText(*account, false), "}\n")
                  : StrCat("{\"type\":\"DELETED\",\"name\":\"", name, "\"}\n");
          if (!account.ok() && account.status().code() != absl::StatusCode::kNotFound) return;
          for (const Responder& watcher : watchers) watcher->Write(line);
        });
    (void)ignored;
  });
}

void RestService::Objects(const net::HttpServerRequest& request, const Responder& responder) {
  const auto value = [&](const char* key) { return net::QueryValue(request.query, key); };
  store::ObjectPageRequest page;
  page.filter.kind = value("kind");
  page.filter.name = value("name");
  page.filter.application = value("application");
  if (request.query.find("group=") != std::string::npos) page.filter.group = value("group");
  if (!value("namespace").empty()) page.filter.name_space = value("namespace");
  page.continue_token = value("continue");
  page.bodies = value("body") == "true";
  if (const std::string limit = value("limit"); !limit.empty()) {
    const auto parsed = std::from_chars(limit.data(), limit.data() + limit.size(), page.limit);
    if (parsed.ec != std::errc() || parsed.ptr != limit.data() + limit.size()) {
      return Fail(*responder, 400, "Invalid", "limit: must be a whole number");
    }
  }
  const auto answer = [this, responder](const store::ObjectPageRequest& asked) {
    const auto found = options_.reader->Objects(asked);
    if (!found.ok()) return Fail(*responder, found.status());
    std::string text = "{\"objects\":[";
    for (size_t i = 0; i < found->objects.size(); ++i) {
      const store::StoredObject& object = found->objects[i];
      Json::Value one = KindJson(object.kind);
      one["accountUid"] = base::ToHex(object.account);
      one["namespace"] = object.object.name_space;
      one["name"] = object.object.name;
      one["uid"] = object.uid;
      one["resourceVersion"] = object.resource_version;
      one["contentHash"] = base::ToHex(object.content_hash);
      one["application"] = object.application;
      one["seq"] = Json::UInt64(object.seq);
      one["held"] = object.held;
      std::string line = json::WriteJson(one);
      // The body goes as it is stored, byte for byte.
      if (asked.bodies) line.replace(line.size() - 1, 1, StrCat(",\"body\":", object.body, "}"));
      text += StrCat(i > 0 ? "," : "", line);
    }
    Json::Value token(found->continue_token);
    responder->Send(200, kJson, StrCat(text, "],\"continue\":", json::WriteJson(token), "}\n"));
  };
  const std::string name = value("account");
  if (name.empty()) return options_.reads->Post([answer, page] { answer(page); });
  WithRegistry(responder, [this, name, page, answer, responder](registry::Registry& registry) {
    const auto account = registry.Get(name);
    if (!account.ok()) return Fail(*responder, account.status());
    store::ObjectPageRequest asked = page;
    asked.filter.account = account->uid;
    options_.reads->Post([answer, asked] { answer(asked); });
  });
}

void RestService::CreateToken(const net::HttpServerRequest& request, const Responder& responder) {
  const auto body = json::ParseJson(request.body);
  if (!body.ok() || !body->isObject())
    return Fail(*responder, 400, "Invalid", "the body must be an object with \"identity\"");
  if (const absl::Status keys = OnlyKeys(*body, {"identity"}, "lifetimeSeconds"); !keys.ok())
    return Fail(*responder, keys);
  const std::string identity = Text(*body, "identity");
  if (!ValidIdentity(identity))
    return Fail(*responder, 400, "Invalid", "identity: 1 to 63 letters, digits, '-', '_' and '.'");
  const int64_t seconds =
      (*body)["lifetimeSeconds"].isInt64() ? (*body)["lifetimeSeconds"].asInt64() : 3600;
  if (seconds < 1 || seconds > 30 * 86400)
    return Fail(*responder, 400, "Invalid", "lifetimeSeconds: from 1 to 2592000");
  const absl::Status queued =
      options_.writer->Do([identity, seconds, responder](store::Store& store) {
        const auto token = store.CreateToken(identity, base::seconds(seconds));
        if (!token.ok()) return Fail(*responder, token.status());
        Json::Value out;
        out["token"] = token->token;
        out["expiresMs"] = Json::Int64(token->expires_ms);
        Ok(*responder, out);
      });
  if (!queued.ok()) Fail(*responder, queued);
}

}  // namespace fairlead::endpoint
