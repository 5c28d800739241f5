#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"

namespace fairlead::endpoint {

// A caller of the REST API that shows a bearer token instead of a client certificate: for set-ups
// without Kubernetes. Only the SHA-256 of the token is in the file.
struct StaticToken {
  std::string name;
  std::string role;    // admin | operator | viewer
  std::string sha256;  // 64 lower-case hexadecimal digits
};

struct TlsFiles {
  std::string certificate;  // serving chain
  std::string key;
  std::string ca;                  // verifies client certificates; handed to agents as trust bundle
  std::string issuer_certificate;  // intermediate that signs agent certificates
  std::string issuer_key;
};

// docs/reference/endpoint-config.md
struct Config {
  std::string trust_domain;
  std::string data_dir;      // SQLite lives here; "" with a database of its own
  std::string database_url;  // "" = SQLite
  std::string database_password_file;
  std::string agents_address;       // gRPC, mTLS
  std::string rest_address;         // REST and health, TLS
  bool plaintext_loopback = false;  // both listeners without TLS, loopback addresses only
  TlsFiles tls;
  std::vector<StaticToken> tokens;
  std::string accounts_file;  // "" = none
  std::string log_level;
  base::Duration certificate_lifetime{};
  int64_t queue_bytes = 0;  // decoded batches waiting for the writer
  int64_t concurrent_snapshots = 0;
  int64_t flush_delay_ms = 0;
  int64_t shard_credit_bytes = 0;
  int64_t objects_per_account = 0;
  int64_t sessions_per_identity = 0;
};

// Reads endpoint.yaml. Errors name the key, and for an unknown key the nearest valid one.
absl::StatusOr<Config> ParseConfig(std::string_view yaml, std::string_view source);

}  // namespace fairlead::endpoint
