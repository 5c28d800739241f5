#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/net/x509.h"

namespace fairlead::endpoint {

struct AuthorityFiles {
  std::string issuer_certificate;
  std::string issuer_key;
  std::string ca;  // what agents verify the endpoint with
};

// Signs agent certificates with the endpoint's intermediate. Reads its files at each use, so that a
// renewed intermediate needs no restart. Any thread; reads three small files.
class Authority {
 public:
  Authority(AuthorityFiles files, std::string trust_domain, int64_t lifetime_seconds);
  // A certificate for `identity` over the request's public key; whether the caller may have it was
  // decided before.
  absl::StatusOr<agent::v1::EnrollResponse> Sign(const std::string& identity,
                                                 const std::string& csr_pem) const;

 private:
  AuthorityFiles files_;
  std::string trust_domain_;
  int64_t lifetime_seconds_;
};

// DNS-label-like: what may stand in a SAN URI and a file name.
bool ValidIdentity(std::string_view identity);

struct InitOptions {
  std::string dir;
  std::string trust_domain = "fairlead";
  std::vector<std::string> dns;
  std::vector<std::string> ips;
  int days = 365;
};
// Makes root CA, intermediate, serving certificate, an operator role certificate, an admin token
// and a ready endpoint.yaml in `dir`; refuses to overwrite. The token is returned, only its hash
// kept.
absl::StatusOr<std::string> InitFiles(const InitOptions& options);

}  // namespace fairlead::endpoint
