#include "endpoint/gateway/gateway.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "endpoint/gateway/relay.h"
#include "endpoint/gateway/target.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"

namespace fairlead::endpoint {

namespace {

constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};
// What is between the client and us only.
constexpr std::array<std::string_view, 15> kOurs = {"authorization",
                                                    "connection",
                                                    "content-length",
                                                    "cookie",
                                                    "expect",
                                                    "host",
                                                    "keep-alive",
                                                    "proxy-authorization",
                                                    "te",
                                                    "proxy-connection",
                                                    "trailer",
                                                    "transfer-encoding",
                                                    "forwarded",
                                                    "x-forwarded-for",
                                                    "x-forwarded-proto"};

template <typename List>
bool In(const List& list, std::string_view one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

std::string Bearer(const net::HttpServerRequest& request) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = net::FindHeader(request.headers, "authorization");
  return header.starts_with(kBearer) ? std::string(header.substr(kBearer.size())) : "";
}

// Why a request is refused whoever sends it; OK = it is not.
absl::Status Refused(const net::HttpServerRequest& request) {
  if (!In(kMethods, request.method)) return absl::InvalidArgumentError("not a method of the API");
  for (const auto& [name, value] : request.headers) {
    if (name == "upgrade") return absl::PermissionDeniedError("protocols are not upgraded here");
    if (name.starts_with("impersonate-")) {
      return absl::PermissionDeniedError(
          "impersonation is not passed on: requests have the rights of the account");
    }
  }
  return absl::OkStatus();
}

void Fail(net::HttpResponder& responder, const absl::Status& status) {
  const std::string message(base::View(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return FailAsCluster(responder, 404, "NotFound", message);
    case absl::StatusCode::kPermissionDenied:
      return FailAsCluster(responder, 403, "Forbidden", message);
    case absl::StatusCode::kInvalidArgument:
      return FailAsCluster(responder, 400, "BadRequest", message);
    default:
      return FailAsCluster(responder, 503, "ServiceUnavailable", message);
  }
}

}  // namespace

void Gateway::Handle(const net::HttpServerRequest& request,
                     std::shared_ptr<net::HttpResponder> responder) {
  auto target = ParseClusterTarget(request.path);
  if (!target.ok()) return Fail(*responder, target.status());
  const std::string token = Bearer(request);
  if (token.empty()) {
    return FailAsCluster(*responder, 401, "Unauthorized",
                         "show a token of the account as a bearer token");
  }
  if (const absl::Status refused = Refused(request); !refused.ok())
    return Fail(*responder, refused);
  ApiRequest call;
  call.method = request.method;
  call.target =
      request.query.empty() ? target->path : base::StrCat(target->path, "?", request.query);
  for (const auto& header : request.headers) {
    if (!In(kOurs, header.first)) call.headers.push_back(header);
  }
  call.body = request.body;
  options_.reads->Post([options = options_, token, account = std::move(target->account),
                        call = std::move(call), responder = std::move(responder)]() mutable {
    const auto uid = options.reader->AccountOfToken(account, token, options.clock->WallMs());
    if (!uid.ok()) {
      log::Warn("a token could not be looked up", {{"account", account}, {"error", uid.status()}});
      return FailAsCluster(*responder, 503, "ServiceUnavailable", "the database is away");
    }
    // An account that is not there and a token that is another's are not told apart.
    if (!uid->has_value()) {
      return FailAsCluster(*responder, 401, "Unauthorized", "the token is not one of this account");
    }
    Relay::Start(options.route, options.route_loop, **uid, std::move(call), std::move(responder));
  });
}

}  // namespace fairlead::endpoint
