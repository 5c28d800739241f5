#pragma once

#include <functional>
#include <memory>
#include <set>

#include "lib/base/loop.h"
#include "lib/net/http.h"
#include "unit/fakes/fake_kube.h"

namespace fairlead::fakes {

// net::HttpTransport straight into a FakeKube, on one loop. Answers come by Post, never from inside
// Start; first_byte_timeout, total_timeout and idle_timeout are kept.
class MemoryTransport : public net::HttpTransport {
 public:
  // Both must outlive the transport and its streams.
  MemoryTransport(FakeKube* kube, base::Loop* loop) : kube_(kube), loop_(loop) {}
  [[nodiscard]] std::unique_ptr<net::HttpStream> Start(net::HttpRequest request,
                                                       const net::RequestOptions& options,
                                                       net::ResponseHandler* handler) override;
  // Every request fails as if the server's address were black-holed or refused.
  void set_unreachable(bool unreachable) { unreachable_ = unreachable; }
  // How long each piece of an answer travels; pieces of one answer keep their order, those of
  // different answers need not. Null = no time.
  void set_delay(std::function<base::Duration()> delay) { delay_ = std::move(delay); }

 private:
  FakeKube* kube_;
  base::Loop* loop_;
  bool unreachable_ = false;
  std::function<base::Duration()> delay_;
};

}  // namespace fairlead::fakes
