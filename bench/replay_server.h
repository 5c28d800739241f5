#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bench/replay_api.h"

namespace fairlead::bench {

// Serves a ReplayApi over HTTP/2 and TLS on 127.0.0.1 to clients that show a certificate of the
// CA, one thread a connection. A watch gets one DATA frame an event, as a kube-apiserver flushes
// each. `dir` is that of WriteCertificates(). `api` must outlive it.
class ReplayServer {
 public:
  static absl::StatusOr<std::unique_ptr<ReplayServer>> Start(const std::string& dir,
                                                             ReplayApi* api);
  virtual ~ReplayServer() = default;  // ends every connection
  [[nodiscard]] virtual int port() const = 0;
  // Lets the watches go on to their events.
  virtual void Release() = 0;
};

}  // namespace fairlead::bench
