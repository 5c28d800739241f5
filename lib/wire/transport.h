#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The agent protocol's streams as both ends see them, free of gRPC: agent/uplink and endpoint/grpc
// implement these over gRPC, unit/fakes over memory (also for the thread sanitizer).
//
// All calls of one end, in both directions, are on the loop that its owner named when it was made.
namespace fairlead::agent::v1 {
class ControlUp;
class ControlDown;
class ChangesUp;
class ChangesDown;
class ExchangeUp;
class ExchangeDown;
class EnrollRequest;
class EnrollResponse;
}  // namespace fairlead::agent::v1

namespace fairlead::wire {

// Welcome.features: this endpoint echoes Mark and takes Fragment.
inline constexpr char kFeaturePace[] = "pace";
// Hello.features and Welcome.features: this end knows Exchange streams.
inline constexpr char kFeatureExchange[] = "exchange";

// Receives one direction of a stream.
template <typename In>
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // In order. The next message is read from the network only after this returns, so a handler that
  // is slow holds up its own stream and nothing else.
  virtual void OnMessage(In message) = 0;
  // Once, last: the other end closed, or the connection was lost.
  virtual void OnClosed(const absl::Status& status) = 0;
};

// Sends the other direction. Destroying it ends the stream at once; its handler is not called any
// more.
template <typename Out>
class StreamSender {
 public:
  virtual ~StreamSender() = default;
  // Queues; the caller bounds what it queues by credit or by message kind, or by unsent_bytes().
  virtual void Send(Out message) = 0;
  // As being destroyed, and tells the other end why. An endpoint's; an agent just goes.
  virtual void End(const absl::Status& why) {}
  // Of what was sent, the bytes that still wait here for the other end to read. An endpoint's.
  [[nodiscard]] virtual size_t unsent_bytes() const { return 0; }
};

// The agent's end: one connection to one endpoint address. It is destroyed on its loop, after the
// senders that it opened, and may wait some milliseconds until no call of it runs any more.
class AgentChannel {
 public:
  virtual ~AgentChannel() = default;
  // `handler` must outlive the returned sender.
  [[nodiscard]] virtual std::unique_ptr<StreamSender<agent::v1::ControlUp>> OpenControl(
      StreamHandler<agent::v1::ControlDown>* handler) = 0;
  [[nodiscard]] virtual std::unique_ptr<StreamSender<agent::v1::ChangesUp>> OpenChanges(
      StreamHandler<agent::v1::ChangesDown>* handler) = 0;
  [[nodiscard]] virtual std::unique_ptr<StreamSender<agent::v1::ExchangeUp>> OpenExchange(
      StreamHandler<agent::v1::ExchangeDown>* handler) = 0;
  // `done` is called once, unless the channel is destroyed before.
  virtual void Enroll(const agent::v1::EnrollRequest& request,
                      std::function<void(absl::StatusOr<agent::v1::EnrollResponse>)> done) = 0;
};

// Who is at the other end, from its verified certificate; empty identity = no certificate.
struct Peer {
  std::string identity;  // last segment of spiffe://<trust-domain>/agent/<identity>
  std::string certificate_pem;
  std::string address;  // for people and logs
};

// The endpoint's end: called for each new stream.
class AgentService {
 public:
  virtual ~AgentService() = default;
  // Returns the handler of a new Control stream, owned by the service until OnClosed; the sender
  // stays usable until it is destroyed.
  virtual StreamHandler<agent::v1::ControlUp>* OnControl(
      const Peer& peer, std::unique_ptr<StreamSender<agent::v1::ControlDown>> sender) = 0;
  virtual StreamHandler<agent::v1::ChangesUp>* OnChanges(
      const Peer& peer, std::unique_ptr<StreamSender<agent::v1::ChangesDown>> sender) = 0;
  virtual StreamHandler<agent::v1::ExchangeUp>* OnExchange(
      const Peer& peer, std::unique_ptr<StreamSender<agent::v1::ExchangeDown>> sender) = 0;
  // Answers at once or later, once.
  virtual void OnEnroll(const Peer& peer, const agent::v1::EnrollRequest& request,
                        std::function<void(absl::StatusOr<agent::v1::EnrollResponse>)> done) = 0;
};

}  // namespace fairlead::wire
