#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/ledger.h"
#include "lib/base/mutex.h"
#include "lib/wire/transport.h"

namespace fairlead::agent::v1 {
class Batch;
}

namespace fairlead::bench {

// The endpoint's end of the agent protocol without a store: grants the one account "bench" (all
// pods) to whoever claims it, gives no positions, admits every snapshot, wants nothing, acks each
// batch at once with the credit the endpoint gives by default, and enters what came into a ledger.
// It takes the messages of the floor pipe and of the rivals as well, which it does not ack.
//
// The AgentService part and HoldAcks() are on the loop; Now() and the waits are any thread's.
class Sink : public wire::AgentService {
 public:
  struct Stats {
    bool synced = false;    // the snapshot ended and every object is there
    bool complete = false;  // every object is as its last event left it
    uint64_t items = 0;
    uint64_t changes = 0;
    uint64_t payload_bytes = 0;  // as on the wire
    uint64_t faults = 0;
    std::string first_fault;
  };
  explicit Sink(const Workload& workload);
  ~Sink() override;

  wire::StreamHandler<agent::v1::ControlUp>* OnControl(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<agent::v1::ControlDown>> sender) override;
  wire::StreamHandler<agent::v1::ChangesUp>* OnChanges(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<agent::v1::ChangesDown>> sender) override;
  // No API requests here.
  wire::StreamHandler<agent::v1::ExchangeUp>* OnExchange(
      const wire::Peer&, std::unique_ptr<wire::StreamSender<agent::v1::ExchangeDown>>) override {
    return nullptr;
  }
  void OnEnroll(const wire::Peer& peer, const agent::v1::EnrollRequest& request,
                std::function<void(absl::StatusOr<agent::v1::EnrollResponse>)> done) override;

  // While held no batch is acked, as by an endpoint whose database hangs.
  void HoldAcks(bool hold);
  [[nodiscard]] Stats Now() const;
  // False when `milliseconds` went by first. Also returns, true, at the first fault.
  bool WaitSynced(int64_t milliseconds);
  bool WaitComplete(int64_t milliseconds);

 private:
  struct Control;
  struct Changes;
  void OnControlMessage(Control* control, const agent::v1::ControlUp& message);
  void OnChangesMessage(Changes* changes, const agent::v1::ChangesUp& message);
  void OnBatch(Changes* changes, const agent::v1::Batch& batch);
  void Ack(Changes* changes, const agent::v1::Batch& batch);
  void EnterFloor(const std::string& payload);
  void EnterPayload(Changes* changes, const agent::v1::Batch& batch);
  void Publish();
  bool Wait(bool Stats::*what, int64_t milliseconds);

  Ledger ledger_;
  std::vector<std::unique_ptr<Control>> controls_;
  std::vector<std::unique_ptr<Changes>> changes_;
  uint64_t term_ = 0;
  bool snapshot_ended_ = false;
  bool holding_ = false;
  std::function<void()> held_;  // the last ack: it speaks for those before it
  Stats counted_;

  mutable base::Mutex mutex_;
  base::CondVar moved_;
  Stats published_;
};

}  // namespace fairlead::bench
