#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/net/x509.h"
#include "unit/fakes/fake_kube.h"
#include "unit/fakes/fake_server_protocol.h"
#include "unit/fakes/signal.h"

namespace fairlead::fakes {

struct FakeApiServerOptions {
  bool http2 = true;                 // offered by ALPN, beside HTTP/1.1
  bool client_certificates = false;  // required, of the server's own CA
  uint32_t max_streams = 100;        // SETTINGS_MAX_CONCURRENT_STREAMS
  size_t slice = 0;                  // bytes a TLS record; 0 = as they come
};

// Where connections accepted from now on stop for ever, without being closed.
enum class FakeStall { kNone, kBeforeHandshake, kAfterHandshake };

// What happened so far. Read it through Signal::Wait and Signal::Get.
struct FakeApiServerSeen {
  int accepted = 0;      // connections, refused handshakes included
  int connections = 0;   // open, black-holed ones included
  int streams = 0;       // exchanges open
  int most_streams = 0;  // at once, of one connection
  int pings = 0;
  int failed_handshakes = 0;
  std::vector<std::pair<int, std::string>> requests;  // number of the connection, "GET /x"
  std::map<std::string, size_t> sent;                 // bytes of body framed, by target
  [[nodiscard]] int Count(std::string_view request) const;
};

// A FakeKube behind real loopback sockets with TLS: HTTP/2 (by ALPN) and HTTP/1.1, with faults of
// the transport that a test scripts. Has a thread of its own; FakeKube and handlers live there.
//
// Any thread may call it. What it counts is changed inside signal()->Update(). FakeReply::Reset
// resets the stream (HTTP/2) or drops the connection (HTTP/1.1).
class FakeApiServer {
 public:
  // `signal` outlives the server.
  FakeApiServer(const FakeApiServerOptions& options, Signal* signal);
  ~FakeApiServer();

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const std::string& ca_pem() const { return ca_.certificate_pem; }
  // A client certificate of the server's own CA.
  [[nodiscard]] net::KeyAndCertificate ClientCertificate() const;
  [[nodiscard]] const FakeApiServerSeen& seen() const { return seen_; }

  // Runs `task` on the server's thread and waits for it.
  void Do(const std::function<void(FakeKube&)>& task);
  // Answers requests instead of the FakeKube, on the server's thread.
  void SetHandler(FakeHandler handler);

  // Open connections, all of them: neither read nor written any more, and not closed either.
  void BlackHole();
  // Closed at once, by TCP reset: as if the process had been killed.
  void Kill();
  void Goaway();
  // Also of later connections.
  void SetMaxStreams(uint32_t most);
  void ResetStreams(uint32_t error_code);
  // Of later connections.
  void StallNew(FakeStall where);

 private:
  struct Impl;
  class Connection;

  Signal* signal_;
  net::KeyAndCertificate ca_;
  FakeApiServerSeen seen_;
  int port_ = 0;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::fakes
