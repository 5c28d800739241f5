#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/base/loop.h"
#include "lib/wire/transport.h"

namespace fairlead::agent {

// How to reach one endpoint address. PEM texts, not file names.
struct ChannelOptions {
  std::string target;        // host:port
  std::string server_name;   // DNS name verified, whatever the address
  std::string trust_bundle;  // empty together with `plaintext`
  std::string certificate;   // chain; empty = none yet (Enroll only)
  std::string key;
  bool plaintext = false;  // loopback only; the configuration checks it
  std::string identity;    // sent as metadata in plaintext mode, where no certificate says it
  int enroll_timeout_ms = 15000;
};

// Opens a gRPC channel (lazily connected; the streams' OnClosed tells of failure). The handlers are
// called on `loop`, which must outlive the channel; gRPC does not reach it afterwards.
std::unique_ptr<wire::AgentChannel> MakeGrpcChannel(const ChannelOptions& options,
                                                    base::Loop* loop);

}  // namespace fairlead::agent
