#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/loop.h"
#include "lib/kube/api_client.h"
#include "operator/runtime/lease_machine.h"

namespace fairlead::op {

// The I/O of leader election: reads and writes the Lease as LeaseMachine says. Loop thread, except
// MayWrite(), which every mutating call asks and which any thread may.
class Elector {
 public:
  struct Options {
    std::string name_space;
    std::string name;
    LeaseOptions lease;
  };
  Elector(const Options& options, kube::ApiClient* api, base::Loop* loop,
          std::function<void()> on_lead, std::function<void()> on_lost);
  void Start();
  // Gives the Lease back; call it when all guarded work has ended. `done` runs at the end.
  void Release(std::function<void()> done);

  [[nodiscard]] bool MayWrite() const;
  [[nodiscard]] bool leading() const { return leading_; }

 private:
  void Apply(const LeaseMachine::Actions& actions);
  void Read();
  void Write(const LeaseRecord& record, std::function<void()> done);
  void OnWriteAnswer(const kube::ApiAnswer& answer);
  void Rearm();
  void PublishFence();

  Options options_;
  kube::ApiClient* api_;
  base::Loop* loop_;
  std::function<void()> on_lead_;
  std::function<void()> on_lost_;
  LeaseMachine machine_;
  std::unique_ptr<kube::ApiClient::Call> call_;
  std::unique_ptr<base::Timer> timer_;
  std::atomic<bool> leading_{false};
  // Until when writes are allowed, as nanoseconds of the monotonic clock.
  std::atomic<int64_t> write_until_ns_{0};
};

}  // namespace fairlead::op
