#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lib/base/loop.h"
#include "lib/wire/transport.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace fairlead::fakes {

// Agents' connections to one endpoint address, in memory and on one loop: wire::AgentChannel at one
// end, a wire::AgentService at the other.
//
// Guarantees, as gRPC gives them: messages of one stream and direction come in order or not at all;
//   nothing is said about the order between streams. Nothing is delivered from inside Send.
// A sender that is destroyed ends its call: the other end hears of it by OnClosed, after what was
// sent before, or without it when `lossy` is set.
class MemoryAgentNetwork {
 public:
  enum class Lane {
    kControlUp,
    kControlDown,
    kChangesUp,
    kChangesDown,
    kExchangeUp,
    kExchangeDown
  };

  explicit MemoryAgentNetwork(base::Loop* loop);
  ~MemoryAgentNetwork();

  // Who answers from now on; null = refused. Calls that are open stay with who took them.
  void Serve(wire::AgentService* service);
  // As an agent with `peer`'s certificate. The network must outlive the channel and its streams.
  [[nodiscard]] std::unique_ptr<wire::AgentChannel> Connect(const wire::Peer& peer);

  // Sees every message that an agent sends on a stream, when it is sent.
  void Observe(std::function<void(const google::protobuf::MessageLite&)> observer);

  // ---- Faults.
  // How long each message travels; asked in the order of sending. Null = no time.
  void set_delay(std::function<base::Duration(Lane)> delay);
  void set_lossy(bool lossy);
  // Nothing of a lane arrives until it flows again; nothing is lost.
  void Stall(Lane lane, bool stalled);
  // Every open call whose peer has this address is lost with what is under way; "" = all.
  void Cut(const std::string& address);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace fairlead::fakes
