#pragma once

#include <string>

#include "absl/status/status.h"

namespace fairlead::bench {

// Writes what both hops of a run need into the existing folder `dir`: ca.crt; server.crt and .key
// for 127.0.0.1 (replay server and sink); identity/tls.crt and .key, the client's on both hops,
// which says spiffe://bench/agent/bench.
absl::Status WriteCertificates(const std::string& dir);

// DIR/kubeconfig of the server on that port of 127.0.0.1, for the client of WriteCertificates().
absl::Status WriteKubeconfig(const std::string& dir, int port);

absl::Status WriteFile(const std::string& path, const std::string& text);

}  // namespace fairlead::bench
