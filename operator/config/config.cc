#include "operator/config/config.h"

#include <algorithm>

#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::op {

namespace {

using base::ConfigReader;
using base::StrCat;

void ReadCertificates(ConfigReader& root, Config* config) {
  ConfigReader from = root.Map("certificates");
  config->certificates.name_space = from.RequiredString("namespace");
  config->certificates.ca_secret = from.String("caSecret", "fairlead-ca");
  config->certificates.endpoint_secret = from.String("endpointSecret", "fairlead-endpoint-tls");
  config->certificates.dns_names = from.Strings("dnsNames");
  config->certificates.ip_addresses = from.Strings("ipAddresses");
}

void ReadEndpoints(ConfigReader& root, Config* config) {
  for (ConfigReader& item : root.Maps("endpoints")) {
    EndpointConfig endpoint;
    endpoint.name = item.RequiredString("name");
    endpoint.dns_name = item.RequiredString("dnsName");
    endpoint.agent_addresses = item.Strings("agentAddresses");
    if (endpoint.agent_addresses.empty()) item.Fail("agentAddresses", "needs a host:port");
    endpoint.api = item.RequiredString("api");
    if (!endpoint.api.starts_with("https://")) item.Fail("api", "must begin with https://");
    config->endpoints.push_back(std::move(endpoint));
  }
  if (config->endpoints.empty()) root.Fail("endpoints", "needs at least one endpoint");
}

void ReadProfiles(ConfigReader& root, Config* config) {
  for (ConfigReader& item : root.Maps("profiles")) {
    Profile profile;
    profile.name = item.RequiredString("name");
    profile.cluster_role = item.RequiredString("clusterRole");
    for (ConfigReader& rule : item.Maps("rules")) {
      profile.rules.push_back({rule.Strings("apiGroups"), rule.Strings("resources"),
                               rule.Strings("resourceNames"), rule.Strings("verbs")});
      if (profile.rules.back().verbs.empty()) rule.Fail("verbs", "must not be empty");
    }
    config->profiles.push_back(std::move(profile));
  }
}

// Every agent's: to tell its cluster's uid. Administrators may define one of that name themselves.
Profile Base() {
  return {kBaseProfile, "fairlead:agent:base", {{{""}, {"namespaces"}, {"kube-system"}, {"get"}}}};
}

}  // namespace

const EndpointConfig* Config::Endpoint(std::string_view name) const {
  const auto found = std::find_if(endpoints.begin(), endpoints.end(),
                                  [&](const auto& one) { return one.name == name; });
  return found == endpoints.end() ? nullptr : &*found;
}

const Profile* Config::FindProfile(std::string_view name) const {
  const auto found = std::find_if(profiles.begin(), profiles.end(),
                                  [&](const auto& one) { return one.name == name; });
  return found == profiles.end() ? nullptr : &*found;
}

absl::StatusOr<Config> ParseConfig(std::string_view yaml, std::string_view source) {
  FAIRLEAD_ASSIGN_OR_RETURN(ConfigReader root, ConfigReader::Parse(yaml, source));
  Config config;
  config.trust_domain = root.String("trustDomain", "fairlead");
  config.watch_namespaces = root.Strings("watchNamespaces");
  if (config.watch_namespaces.empty()) root.Fail("watchNamespaces", "needs at least one namespace");
  config.log_level = root.Map("log").OneOf("level", {"info", "debug", "warn", "error"});
  config.health_address = root.Map("health").String("address", "0.0.0.0:8080");
  ConfigReader lease = root.Map("leaderElection");
  config.lease_namespace = lease.RequiredString("namespace");
  config.lease_name = lease.String("name", "fairlead-operator");
  ReadCertificates(root, &config);
  ConfigReader image = root.Map("agentImage");
  config.agent_image = {image.String("registry"), image.RequiredString("repository"),
                        image.String("tag"), image.String("digest"),
                        image.String("pullPolicy", "IfNotPresent")};
  if (config.agent_image.tag.empty() && config.agent_image.digest.empty()) {
    image.Fail("tag", "tag or digest is required");
  }
  ReadEndpoints(root, &config);
  ReadProfiles(root, &config);
  if (config.FindProfile(kBaseProfile) == nullptr) config.profiles.push_back(Base());
  config.workers = static_cast<int>(root.Int("workers", 8, 1, 64));
  config.drift_interval = base::seconds(root.Int("driftIntervalSeconds", 600, 2, 86400));
  config.kubeconfig = root.String("kubeconfig");
  FAIRLEAD_RETURN_IF_ERROR(root.Finish());
  return config;
}

}  // namespace fairlead::op
