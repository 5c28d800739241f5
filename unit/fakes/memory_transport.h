#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "lib/base/loop.h"
#include "lib/net/http.h"
#include "unit/fakes/fake_kube.h"

namespace fairlead::fakes {

// net::HttpTransport straight into a fake server, on one loop. Answers come by Post, never from
// inside Start; first_byte_timeout, total_timeout and idle_timeout are kept.
class MemoryTransport : public net::HttpTransport {
 public:
  using Server = std::function<void(const net::HttpRequest&, std::shared_ptr<FakeReply>)>;
  // Whatever `server` reaches, and `loop`, must outlive the transport and its streams.
  MemoryTransport(Server server, base::Loop* loop) : server_(std::move(server)), loop_(loop) {}
  MemoryTransport(FakeKube* kube, base::Loop* loop)
      : MemoryTransport([kube](const auto& request, auto reply) { kube->Handle(request, reply); },
                        loop) {}
  [[nodiscard]] std::unique_ptr<net::HttpStream> Start(net::HttpRequest request,
                                                       const net::RequestOptions& options,
                                                       net::ResponseHandler* handler) override;
  // Every request fails as if the server's address were black-holed or refused.
  void set_unreachable(bool unreachable) { unreachable_ = unreachable; }

 private:
  Server server_;
  base::Loop* loop_;
  bool unreachable_ = false;
};

}  // namespace fairlead::fakes
