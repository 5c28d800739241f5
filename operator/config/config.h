#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "operator/model/agent_objects.h"

namespace fairlead::op {

// Where agents and the operator reach one endpoint. Resources name it; they carry no addresses.
struct EndpointConfig {
  std::string name;
  std::string dns_name;  // what its certificate says, whatever the address
  std::vector<std::string> agent_addresses;
  std::string api;  // https://host:port of its REST
};

struct CertificatesConfig {
  std::string name_space;
  std::string ca_secret;
  std::string endpoint_secret;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
};

// docs/reference/operator-config.md
struct Config {
  std::string trust_domain;
  std::vector<std::string> watch_namespaces;
  std::string log_level;
  std::string health_address;
  std::string lease_namespace;
  std::string lease_name;
  CertificatesConfig certificates;
  AgentImage agent_image;
  std::vector<EndpointConfig> endpoints;
  std::vector<Profile> profiles;
  int workers = 8;
  base::Duration drift_interval = base::minutes(10);  // between visits of a converged cluster
  std::string kubeconfig;                             // "" = the cluster the operator runs in

  [[nodiscard]] const EndpointConfig* Endpoint(std::string_view name) const;
  [[nodiscard]] const Profile* FindProfile(std::string_view name) const;
};

// Errors name the key, and for an unknown key the nearest valid one.
absl::StatusOr<Config> ParseConfig(std::string_view yaml, std::string_view source);

}  // namespace fairlead::op
