#include "agent/config/config.h"

#include <set>

#include "absl/strings/numbers.h"
#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::agent {
namespace {

using base::ConfigReader;
using base::StrCat;

bool ValidAccountName(std::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '-' && c != '_'))) return false;
  }
  return true;
}

bool Loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.substr(0, 4) == "127.";
}

void ReadEndpoints(ConfigReader& root, Config* config) {
  config->endpoints = root.Strings("endpoints");
  if (config->endpoints.empty()) root.Fail("endpoints", "needs at least one host:port");
  if (config->endpoints.size() > 16) root.Fail("endpoints", "at most 16");
  config->allow_plaintext_loopback = root.Bool("allowPlaintextLoopback", false);
  for (const std::string& endpoint : config->endpoints) {
    std::string host;
    int port = 0;
    if (!SplitHostPort(endpoint, &host, &port)) {
      root.Fail("endpoints", StrCat("\"", endpoint, "\" is not host:port"));
    } else if (config->allow_plaintext_loopback && !Loopback(host)) {
      root.Fail("allowPlaintextLoopback",
                StrCat("is for loopback addresses only; \"", endpoint, "\" is not one"));
    }
  }
  config->server_name = root.String("serverName");
  config->trust_bundle_file = root.String("trustBundleFile");
  if (!config->allow_plaintext_loopback && config->trust_bundle_file.empty()) {
    root.Fail("trustBundleFile", "is required: the endpoint is verified with it");
  }
}

void ReadIdentity(ConfigReader& root, Config* config) {
  ConfigReader identity = root.Map("identity");
  config->identity.name = identity.RequiredString("name");
  config->identity.dir = identity.RequiredString("dir");
  config->identity.token_file = identity.String("tokenFile");
  ConfigReader secret = root.Map("identitySecret");
  config->identity.secret_namespace = secret.String("namespace");
  config->identity.secret_name = secret.String("name");
  if (config->identity.secret_namespace.empty() != config->identity.secret_name.empty()) {
    root.Fail("identitySecret", "needs both namespace and name");
  }
}

void ReadAccounts(ConfigReader& root, Config* config) {
  std::set<std::string> names;
  for (ConfigReader& item : root.Maps("accounts")) {
    AccountConfig account;
    account.name = item.RequiredString("name");
    if (!account.name.empty() && !ValidAccountName(account.name)) {
      item.Fail("name", "must match [A-Za-z0-9][A-Za-z0-9_-]{0,62}");
    }
    if (!names.insert(account.name).second) item.Fail("name", "is there twice");
    ConfigReader connection = item.Map("connection");
    account.in_cluster = connection.Has("inCluster");
    connection.Map("inCluster");
    account.kubeconfig_file = connection.String("kubeconfigFile");
    if (account.in_cluster == !account.kubeconfig_file.empty()) {
      item.Fail("connection", "needs exactly one of inCluster and kubeconfigFile");
    }
    config->accounts.push_back(std::move(account));
  }
  if (config->accounts.empty()) root.Fail("accounts", "needs at least one account");
  if (config->accounts.size() > 1000) root.Fail("accounts", "at most 1000 a process");
}

}  // namespace

bool SplitHostPort(std::string_view address, std::string* host, int* port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view name = address.substr(0, colon);
  if (name.size() >= 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  } else if (name.find(':') != std::string_view::npos) {
    return false;
  }
  if (name.empty() || !absl::SimpleAtoi(base::AbslView(address.substr(colon + 1)), port))
    return false;
  *host = std::string(name);
  return *port >= 1 && *port <= 65535;
}

absl::StatusOr<Config> ParseConfig(std::string_view yaml, std::string_view source) {
  FAIRLEAD_ASSIGN_OR_RETURN(ConfigReader root, ConfigReader::Parse(yaml, source));
  Config config;
  ReadEndpoints(root, &config);
  ReadIdentity(root, &config);
  ReadAccounts(root, &config);
  config.health_address = root.Map("health").String("address");
  config.log_level = root.Map("log").OneOf("level", {"info", "debug", "warn", "error"});
  ConfigReader limits = root.Map("limits");
  config.pending_bytes = limits.Int("pendingBytes", 8 << 20, 1 << 20, int64_t{1} << 34);
  config.workers = limits.Int("workers", 0, 0, 64);
  config.zone = root.String("zone");
  config.revision = root.String("revision");
  FAIRLEAD_RETURN_IF_ERROR(root.Finish());
  return config;
}

}  // namespace fairlead::agent
