#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"

namespace fairlead::kube {

// How to reach one cluster, and as whom.
struct ClusterAccess {
  std::string scheme = "https";
  std::string host;
  std::string address;  // what `host` was resolved to and is dialled; "" = resolve it
  int port = 443;
  std::string server_name;  // tls-server-name; "" = host
  std::string ca_pem;       // "" = the system's roots
  std::string certificate_pem;
  std::string key_pem;
  std::string token;       // a bearer token, or
  std::string token_file;  // where it is read from, again and again
};

enum class KubeconfigTrust {
  // A file that whoever runs this process put there: paths and token files are followed.
  kFile,
  // From a Secret, so from anybody who may write one: only server, CA, server name, token or
  // certificate data; https; no loopback, link-local or unspecified address. A name is not resolved
  // here, so whoever dials must ask ForbiddenAddress about what it resolved to.
  kHostile,
};

// The current context of a kubeconfig. Refused with the field's name: insecure-skip-tls-verify,
// exec and auth-provider plug-ins, proxy-url, impersonation, basic authentication; with kHostile
// also all paths. At most 1 MiB. Relative paths resolve against `directory`. Errors never quote
// credentials.
absl::StatusOr<ClusterAccess> ParseKubeconfig(std::string_view yaml, std::string_view source,
                                              KubeconfigTrust trust,
                                              const std::string& directory = "");
// Reads and parses a trusted file.
absl::StatusOr<ClusterAccess> LoadKubeconfig(const std::string& path);
// From the environment and the service account's mount.
absl::StatusOr<ClusterAccess> InCluster();

// Loopback, link-local, unspecified or multicast, in any spelling of an IP literal; false for
// names.
bool ForbiddenAddress(std::string_view host);

// A bearer token that may live in a file: read again every minute and after Refused(); if reading
// fails the last good one stays. Not thread-safe.
class TokenSource {
 public:
  TokenSource(std::string token, std::string file);
  // "" = no token.
  [[nodiscard]] const std::string& Get(base::Time now);
  // The server answered 401: the next Get() reads again.
  void Refused() { stale_ = true; }

 private:
  std::string token_;
  std::string file_;
  base::Time read_{};
  bool stale_ = true;
};

}  // namespace fairlead::kube
