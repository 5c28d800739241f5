#pragma once

#include <memory>

#include "endpoint/session/api_call.h"
#include "endpoint/store/reader.h"
#include "lib/base/loop.h"
#include "lib/net/http_server.h"

namespace fairlead::endpoint {

struct GatewayOptions {
  store::Reader* reader = nullptr;  // used on `reads`
  base::Loop* reads = nullptr;
  const base::Clock* clock = nullptr;
  ApiRoute* route = nullptr;  // used on `route_loop`
  base::Loop* route_loop = nullptr;
};

// The Kubernetes API of every account at /clusters/<account>, for clients that show a token of that
// account (docs/reference/gateway.md). Any Kubernetes client works; what would open a tunnel or
// hand out credentials is refused, and so is impersonation.
//
// Everything pointed to outlives the gateway. Handle() on any one loop.
class Gateway : public net::HttpHandler {
 public:
  explicit Gateway(const GatewayOptions& options) : options_(options) {}
  void Handle(const net::HttpServerRequest& request,
              std::shared_ptr<net::HttpResponder> responder) override;

 private:
  const GatewayOptions options_;
};

}  // namespace fairlead::endpoint
