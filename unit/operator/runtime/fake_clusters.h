#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "lib/net/loop_thread.h"
#include "operator/runtime/cluster_client.h"
#include "unit/fakes/fake_hub.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::op {

// A loop on its own thread and ClusterClients over it that reach fake API servers. The servers are
// touched on the loop only (On), and outlive this.
class FakeClusters {
 public:
  FakeClusters() { loop_.Start(); }
  // Clients are gone by then; what they left on the loop is run.
  ~FakeClusters() {
    Settle();
    loop_.Stop();
  }
  FakeClusters(const FakeClusters&) = delete;
  FakeClusters& operator=(const FakeClusters&) = delete;

  // Deadlines are by the machine's clock, however slow it is: where none is to be met or missed it
  // is this long, and a test in which a call is to miss it makes it short and wants nothing else.
  static ClusterClient::Options Options() {
    ClusterClient::Options options;
    options.timeout = base::minutes(2);
    return options;
  }
  std::shared_ptr<ClusterClient> Reach(fakes::FakeHub* server, const std::string& name,
                                       const ClusterClient::Options& options) {
    return Reach([server](const auto& request, auto reply) { server->Handle(request, reply); },
                 name, options);
  }
  std::shared_ptr<ClusterClient> Reach(fakes::MemoryTransport::Server server,
                                       const std::string& name,
                                       const ClusterClient::Options& options) {
    return ClusterClient::Over(std::make_unique<fakes::MemoryTransport>(std::move(server), &loop_),
                               name, kube::TokenSource("", ""), options, &loop_);
  }

  // Runs `work` on the loop and waits for it.
  void On(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  // What the servers sent has arrived afterwards: each turn of the loop runs what the turns before
  // posted, and no chain of posts is as long as this.
  void Settle() {
    std::promise<void> done;
    loop_.Post([&] { Turn(100, &done); });
    done.get_future().wait();
  }
  net::LoopThread* loop() { return &loop_; }

 private:
  void Turn(int left, std::promise<void>* done) {
    if (left == 0) return done->set_value();
    loop_.Post([this, left, done] { Turn(left - 1, done); });
  }

  net::LoopThread loop_{"clusters"};
};

}  // namespace fairlead::op
