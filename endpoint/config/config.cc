#include "endpoint/config/config.h"

#include <algorithm>
#include <array>

#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::endpoint {
namespace {

using base::ConfigReader;
using base::StrCat;

bool LowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool LoopbackAddress(std::string_view address) {
  return address.substr(0, 4) == "127." || address.substr(0, 6) == "[::1]:" ||
         address.substr(0, 10) == "localhost:";
}

void ReadTls(ConfigReader& root, Config* config) {
  ConfigReader tls = root.Map("tls");
  const auto file = [&](std::string_view key) {
    std::string path = tls.String(key);
    if (path.empty() && !config->plaintext_loopback) {
      tls.Fail(key, "is required; `fairlead-endpoint init` makes a set of files");
    }
    return path;
  };
  config->tls.certificate = file("certificateFile");
  config->tls.key = file("keyFile");
  config->tls.ca = file("caFile");
  config->tls.issuer_certificate = file("issuerCertificateFile");
  config->tls.issuer_key = file("issuerKeyFile");
}

void ReadDatabase(ConfigReader& root, Config* config) {
  config->data_dir = root.String("dataDir");
  ConfigReader database = root.Map("database");
  config->database_url = database.String("url");
  config->database_password_file = database.String("passwordFile");
  if (config->database_url.empty()) {
    if (config->data_dir.empty()) {
      root.Fail("dataDir", "is required without database.url: SQLite's file is made there");
    }
    if (!config->database_password_file.empty()) {
      database.Fail("passwordFile", "is for database.url, which is not set");
    }
    return;
  }
  const std::string& url = config->database_url;
  if (url.rfind("postgresql://", 0) != 0 && url.rfind("mariadb://", 0) != 0) {
    database.Fail("url", "must begin with postgresql:// or mariadb://");
  }
}

void ReadTokens(ConfigReader& root, Config* config) {
  static constexpr std::array<std::string_view, 3> kRoles = {"admin", "operator", "viewer"};
  for (ConfigReader& item : root.Maps("tokens")) {
    StaticToken token;
    token.name = item.RequiredString("name");
    token.role = item.RequiredString("role");
    token.sha256 = item.RequiredString("sha256");
    if (std::find(kRoles.begin(), kRoles.end(), token.role) == kRoles.end()) {
      item.Fail("role", "must be admin, operator or viewer");
    }
    if (token.sha256.size() != 64 || !LowerHex(token.sha256)) {
      item.Fail("sha256", "must be 64 lower-case hexadecimal digits; make it with sha256sum");
    }
    config->tokens.push_back(std::move(token));
  }
}

}  // namespace

absl::StatusOr<Config> ParseConfig(std::string_view yaml, std::string_view source) {
  FAIRLEAD_ASSIGN_OR_RETURN(ConfigReader root, ConfigReader::Parse(yaml, source));
  Config config;
  config.trust_domain = root.String("trustDomain", "fairlead");
  ReadDatabase(root, &config);
  config.agents_address = root.Map("agents").String("address", "0.0.0.0:9443");
  config.rest_address = root.Map("rest").String("address", "0.0.0.0:8443");
  config.plaintext_loopback = root.Bool("allowPlaintextLoopback", false);
  for (const std::string& address : {config.agents_address, config.rest_address}) {
    if (config.plaintext_loopback && !LoopbackAddress(address)) {
      root.Fail("allowPlaintextLoopback",
                StrCat("is for loopback addresses only; \"", address, "\" is not one"));
    }
  }
  ReadTls(root, &config);
  ReadTokens(root, &config);
  config.accounts_file = root.String("accountsFile");
  config.log_level = root.Map("log").OneOf("level", {"info", "debug", "warn", "error"});
  config.certificate_lifetime =
      base::seconds(root.Int("certificateLifetimeSeconds", 86400, 60, 365 * 86400));
  ConfigReader limits = root.Map("limits");
  config.queue_bytes = limits.Int("queueBytes", 64 << 20, 1 << 20, int64_t{1} << 34);
  config.concurrent_snapshots = limits.Int("concurrentSnapshots", 16, 1, 10000);
  config.flush_delay_ms = limits.Int("flushDelayMs", 2, 1, 2000);
  config.shard_credit_bytes = limits.Int("shardCreditBytes", 1 << 20, 64 << 10, 64 << 20);
  config.objects_per_account = limits.Int("objectsPerAccount", 1000000, 1, int64_t{1} << 40);
  config.sessions_per_identity = limits.Int("sessionsPerIdentity", 2000, 2, 1000000);
  FAIRLEAD_RETURN_IF_ERROR(root.Finish());
  return config;
}

}  // namespace fairlead::endpoint
