#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/net/x509.h"
#include "operator/config/config.h"
#include "operator/runtime/cluster_client.h"

namespace fairlead::op {

// Keeps the fleet's root CA in a Secret and issues the endpoint's certificates from it: serving
// certificate and the intermediate that signs agents' certificates, renewed at two thirds of their
// life. The CA's key is in this Secret and in this process, nowhere else.
class Certificates {
 public:
  Certificates(const Config& config, ClusterClient* hub) : config_(config), hub_(hub) {}

  // Makes what is missing and renews what is due. Call it at the start and every hour.
  absl::Status Ensure();
  // After the first Ensure() that was OK.
  [[nodiscard]] const std::string& ca_pem() const { return ca_.certificate_pem; }
  // A client certificate of role operator, for a day.
  absl::StatusOr<net::KeyAndCertificate> OperatorCertificate() const;

 private:
  absl::Status EnsureCa();
  absl::Status EnsureEndpoint();
  [[nodiscard]] bool EndpointIsGood(const Json::Value& secret) const;

  const Config& config_;
  ClusterClient* hub_;
  net::KeyAndCertificate ca_;
};

}  // namespace fairlead::op
