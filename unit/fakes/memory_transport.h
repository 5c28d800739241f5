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
                        loop) {
    life_ = [kube] { return kube->restores(); };
  }
  [[nodiscard]] std::unique_ptr<net::HttpStream> Start(net::HttpRequest request,
                                                       const net::RequestOptions& options,
                                                       net::ResponseHandler* handler) override;
  // Every request fails as if the server's address were black-holed or refused.
  void set_unreachable(bool unreachable) { unreachable_ = unreachable; }
  // How long each piece of an answer travels; pieces of one answer keep their order, those of
  // different answers need not. Null = no time.
  void set_delay(std::function<base::Duration()> delay) { delay_ = std::move(delay); }

 private:
  Server server_;
  base::Loop* loop_;
  // Which life of the server this is. What is on its way when one ends is lost with its connection,
  // requests and answers.
  std::function<uint64_t()> life_ = [] { return 0; };
  bool unreachable_ = false;
  std::function<base::Duration()> delay_;
};

}  // namespace fairlead::fakes
