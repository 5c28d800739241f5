#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/base/loop.h"
#include "lib/wire/transport.h"

namespace fairlead::endpoint {

struct GrpcServerOptions {
  std::string address;  // host:port; port 0 = any
  // Files, re-read every `reload_seconds` when they change.
  std::string certificate_file;
  std::string key_file;
  std::string ca_file;
  int reload_seconds = 10;
  bool plaintext = false;  // loopback only; the configuration checks it
  std::string trust_domain;
  size_t memory_quota_bytes = size_t{512} << 20;
  // Of one stream, messages that its agent has not read yet; beyond, the stream ends. What is sent
  // in bulk (positions, bodies of API requests) looks at unsent_bytes() or is 4 MiB at most.
  size_t max_unsent_bytes = size_t{32} << 20;
};

// The agents' gRPC listener. Calls `service` on `loop`; both must outlive the server.
//
// A client certificate is asked for and verified when given; calls without one carry a Peer with an
// empty identity, and only OnEnroll is reached by those: Control, Changes and Exchange answer
// Unauthenticated.
class GrpcServer {
 public:
  virtual ~GrpcServer() = default;
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           wire::AgentService* service,
                                                           base::Loop* loop);
  [[nodiscard]] virtual int port() const = 0;
  // Cancels what is open and returns when no reaction runs any more, at most after `deadline_ms`.
  // Any thread but the loop's.
  virtual void Stop(int deadline_ms) = 0;
};

// <identity> of spiffe://<trust_domain>/agent/<identity>, or "" when `uri` is anything else.
std::string AgentIdentity(std::string_view uri, std::string_view trust_domain);

}  // namespace fairlead::endpoint
