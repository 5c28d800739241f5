#include "agent/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/strings.h"

namespace fairlead::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kGood[] = R"(
endpoints: ["endpoint.fairlead.svc:9443", "[fd00::1]:9443"]
serverName: fairlead-endpoint
trustBundleFile: /etc/fairlead/trust/ca.crt
identity: {name: shop-1, dir: /var/lib/fairlead/identity, tokenFile: /etc/fairlead/token/token}
identitySecret: {namespace: fairlead-agent, name: agent-identity}
accounts:
  - {name: prod_EU1, connection: {inCluster: {}}}
  - {name: prod-us1, connection: {kubeconfigFile: /etc/kube/us1}}
health: {address: "0.0.0.0:8080"}
log: {level: debug}
limits: {pendingBytes: 2097152, workers: 2}
)";

std::string ErrorOf(std::string yaml) {
  const auto config = ParseConfig(yaml, "agent.yaml");
  EXPECT_FALSE(config.ok());
  return std::string(base::View(config.status().message()));
}

std::string Replace(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(AgentConfig, ReadsABootstrapFile) {
  const auto config = ParseConfig(kGood, "agent.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->endpoints, ElementsAre("endpoint.fairlead.svc:9443", "[fd00::1]:9443"));
  EXPECT_EQ(config->identity.name, "shop-1");
  EXPECT_EQ(config->identity.secret_name, "agent-identity");
  ASSERT_EQ(config->accounts.size(), 2u);
  EXPECT_TRUE(config->accounts[0].in_cluster);
  EXPECT_EQ(config->accounts[1].kubeconfig_file, "/etc/kube/us1");
  EXPECT_EQ(config->pending_bytes, 2097152);
  EXPECT_EQ(config->workers, 2);
}

TEST(AgentConfig, ErrorsNameTheKeyAndTheNextStep) {
  EXPECT_THAT(ErrorOf(Replace(kGood, "trustBundleFile", "trustBundelFile")),
              HasSubstr("trustBundleFile: is required"));
  EXPECT_THAT(ErrorOf(Replace(kGood, "pendingBytes", "pendingByte")),
              HasSubstr("limits.pendingByte: unknown key; did you mean \"pendingBytes\"?"));
  EXPECT_THAT(ErrorOf(Replace(kGood, "{inCluster: {}}", "{}")),
              HasSubstr("accounts[0].connection: needs exactly one of"));
  EXPECT_THAT(ErrorOf(Replace(kGood, "prod-us1", "prod_EU1")),
              HasSubstr("accounts[1].name: is there twice"));
  EXPECT_THAT(ErrorOf(Replace(kGood, "prod-us1", "-bad")),
              HasSubstr("accounts[1].name: must match"));
  EXPECT_THAT(ErrorOf(Replace(kGood, "[fd00::1]:9443", "nohost")),
              HasSubstr("\"nohost\" is not host:port"));
}

TEST(AgentConfig, PlaintextIsRefusedForAnythingButLoopback) {
  const std::string text = std::string("allowPlaintextLoopback: true\n") + kGood;
  EXPECT_THAT(ErrorOf(text), HasSubstr("loopback addresses only"));
  std::string local = Replace(text, "endpoint.fairlead.svc:9443", "127.0.0.1:9443");
  EXPECT_TRUE(ParseConfig(Replace(local, "[fd00::1]:9443", "localhost:9443"), "x").ok());
}

TEST(SplitHostPort, TakesNamesAndBracketedAddresses) {
  std::string host;
  int port = 0;
  ASSERT_TRUE(SplitHostPort("[fd00::1]:9443", &host, &port));
  EXPECT_EQ(host, "fd00::1");
  EXPECT_EQ(port, 9443);
  EXPECT_FALSE(SplitHostPort("fd00::1:9443", &host, &port));
  EXPECT_FALSE(SplitHostPort("host:0", &host, &port));
  EXPECT_FALSE(SplitHostPort("host:65536", &host, &port));
  EXPECT_FALSE(SplitHostPort(":80", &host, &port));
}

}  // namespace
}  // namespace fairlead::agent
