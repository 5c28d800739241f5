#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fairlead::agent {

// One account this agent can reach. What of it is watched comes with the Grant, not from here.
struct AccountConfig {
  std::string name;
  bool in_cluster = false;
  std::string kubeconfig_file;  // when not in_cluster
};

// The certificate and its key live in `dir`; with `secret_name` also in a Secret that the replicas
// of one AgentDeployment share. `token_file` is needed only until a certificate exists.
struct IdentityConfig {
  std::string name;
  std::string dir;
  std::string token_file;
  std::string secret_namespace;
  std::string secret_name;
};

// What an agent needs before it has spoken to an endpoint (docs/reference/agent-config.md).
struct Config {
  std::vector<std::string> endpoints;  // host:port
  std::string server_name;
  std::string trust_bundle_file;
  // No TLS at all; only for endpoints on a loopback address.
  bool allow_plaintext_loopback = false;
  IdentityConfig identity;
  std::vector<AccountConfig> accounts;
  std::string health_address;  // host:port, or "" for none
  std::string log_level;
  int64_t pending_bytes = 0;  // for all accounts together
  int64_t workers = 0;        // 0 = one a core, at most 4
  std::string zone;
  std::string revision;
};

// Reads agent.yaml. Errors name the key, and for an unknown key the nearest valid one.
absl::StatusOr<Config> ParseConfig(std::string_view yaml, std::string_view source);

// Splits "host:port" or "[v6]:port"; false when there is no port from 1 to 65535 or no host.
bool SplitHostPort(std::string_view address, std::string* host, int* port);

}  // namespace fairlead::agent
