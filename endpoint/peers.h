#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "endpoint/registry/registry.h"
#include "endpoint/replicas/coordinator.h"
#include "endpoint/session/hub.h"
#include "endpoint/store/writer_queue.h"
#include "lib/base/loop.h"

namespace fairlead::endpoint {

struct PeersOptions {
  store::WriterQueue* writer = nullptr;
  registry::Registry* registry = nullptr;  // used on the writer's thread
  Hub* hub = nullptr;                      // lives on `hub_loop`
  base::Loop* hub_loop = nullptr;
  // An account was changed by another replica, or by this one. The writer's thread.
  std::function<void(const std::string& name)> on_account;
  uint64_t registry_version = 0;  // what the hub has of the registry
};

// Carries what other replicas of the endpoint did to this one's hub. All pointers outlive it.
class Peers : public CoordinatorListener {
 public:
  explicit Peers(PeersOptions options)
      : options_(std::move(options)), version_(options_.registry_version) {}
  void OnFree(std::vector<base::U128> accounts) override;
  void OnRegistry() override;
  void OnDoubt() override;
  void OnForgotten() override;

 private:
  void ReadRegistry();

  const PeersOptions options_;
  uint64_t version_;  // the writer's thread's
};

}  // namespace fairlead::endpoint
