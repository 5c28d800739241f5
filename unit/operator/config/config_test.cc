#include "operator/config/config.h"

#include <gtest/gtest.h>

namespace fairlead::op {
namespace {

constexpr char kGood[] = R"(
watchNamespaces: [fairlead]
leaderElection: {namespace: fairlead}
certificates: {namespace: fairlead, dnsNames: [e]}
agentImage: {registry: r, repository: agent, tag: "1"}
endpoints: [{name: default, dnsName: e, agentAddresses: ["e:9443"], api: "https://e:8443"}]
profiles: [{name: read, clusterRole: "fairlead:agent:read", rules: [{apiGroups: ["*"], resources: ["*"], verbs: [get]}]}]
)";

TEST(OperatorConfig, IsReadWithDefaults) {
  const auto config = ParseConfig(kGood, "operator.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->certificates.ca_secret, "fairlead-ca");
  ASSERT_NE(config->Endpoint("default"), nullptr);
  EXPECT_EQ(config->Endpoint("other"), nullptr);
  EXPECT_NE(config->FindProfile("read"), nullptr);
  EXPECT_NE(config->FindProfile(kBaseProfile), nullptr) << "there in any case";
}

TEST(OperatorConfig, AMistakeIsNamedByItsKey) {
  const std::pair<const char*, const char*> table[] = {
      {"watchNamespace: [x]\n", "did you mean \"watchNamespaces\"?"},
      {"workers: 0\n", "workers"},
      {"driftIntervalSeconds: 1\n", "driftIntervalSeconds"}};
  for (const auto& [line, expected] : table) {
    const auto config = ParseConfig(std::string(kGood) + line, "operator.yaml");
    ASSERT_FALSE(config.ok()) << line;
    EXPECT_NE(config.status().ToString().find(expected), std::string::npos) << config.status();
  }
}

TEST(OperatorConfig, AnEndpointsApiMustBeHttps) {
  std::string text = kGood;
  text.replace(text.find("https://e:8443"), 5, "http:/");
  EXPECT_FALSE(ParseConfig(text, "operator.yaml").ok());
}

}  // namespace
}  // namespace fairlead::op
