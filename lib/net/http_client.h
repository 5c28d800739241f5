#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/net/http.h"
#include "lib/net/loop_thread.h"

namespace fairlead::net {

struct HttpClientOptions {
  std::string scheme = "https";  // or http, for loopback only: no credential goes over it
  std::string host;              // name or address, no brackets
  std::string address;           // what `host` was resolved to and is dialled; "" = resolve it
  int port = 443;
  std::string server_name;      // what the certificate must say; "" = host
  std::string ca_pem;           // "" = the system's roots
  std::string certificate_pem;  // client certificate chain; "" = none
  std::string key_pem;
  bool http1_only = false;

  base::Duration connect_timeout =
      base::seconds(15);  // resolve, connect, handshake and SETTINGS together
  // A connection that is silent for ping_after while something is open is asked for a sign of life,
  // and is dead ping_timeout later.
  base::Duration ping_after = base::seconds(30);
  base::Duration ping_timeout = base::seconds(15);
  size_t streams_per_connection = 100;
  size_t max_connections = 64;  // of each lane
};

// A client for one server. HTTP/2 where the server offers it (ALPN), else HTTP/1.1 with a
// connection for each exchange. Connections are made when they are needed, watches and calls apart,
// and dropped when the server says so or they are silent; nothing is ever sent twice by this class.
// InvalidArgument when a PEM text is not usable. `loop` must outlive the client; loop thread only.
absl::StatusOr<std::unique_ptr<HttpTransport>> MakeHttpClient(const HttpClientOptions& options,
                                                              LoopThread* loop);

}  // namespace fairlead::net
