#include "api/v1alpha1/types.h"

#include <gtest/gtest.h>
#include <json/reader.h>

#include <sstream>

namespace fairlead::api {
namespace {

Json::Value J(const std::string& text) {
  Json::Value out;
  std::istringstream in(text);
  in >> out;
  return out;
}

Json::Value Account() {
  return J(R"({"metadata":{"name":"prod","namespace":"f","uid":"u","generation":3,
    "finalizers":["fairlead.dev/cleanup"]},
    "spec":{"connection":{"kubeconfig":{"purpose":"Install","secretRef":{"name":"s"}}},
            "access":{"profile":"deploy","level":"Namespaces","namespaces":["shop"]},
            "permissions":{"mode":"Unrestricted"}},
    "status":{"clusterUID":"c","agent":{"uid":"a","deploymentRef":{"name":"d"}}}})");
}

TEST(ClusterAccount, IsReadWithDefaults) {
  ClusterAccount account;
  ASSERT_TRUE(ParseClusterAccount(Account(), &account).ok());
  EXPECT_EQ(account.account_name, "prod");
  EXPECT_EQ(account.connection.kubeconfig.secret_key, "value");
  EXPECT_EQ(account.cluster_uid, "c");
  EXPECT_EQ(account.agent.deployment_name, "d");
  EXPECT_TRUE(account.meta.HasFinalizer("fairlead.dev/cleanup"));
  EXPECT_EQ(account.observed_generation, -1);
}

TEST(ClusterAccount, ErrorsNameTheField) {
  const std::tuple<const char*, const char*, const char*> table[] = {
      {"connection", "{}", "spec.connection: exactly one"},
      {"connection", R"({"kubeconfig":{"purpose":"Install","secretRef":{}}})",
       "spec.connection.kubeconfig.secretRef.name: is required"},
      {"access", R"({"profile":"p","level":"Namespaces"})", "spec.access.namespaces"},
      {"access", R"({"profile":"p"})", "spec.access.level"},
      {"access", R"({"level":"Cluster"})", "spec.access: exactly one"},
      {"permissions", "null", "spec.permissions: is required"},
      {"accountName", R"("a b")", "spec.accountName"},
      {"paused", "3", "spec.paused: must be true or false"}};
  for (const auto& [key, value, expected] : table) {
    Json::Value object = Account();
    object["spec"][key] = J(std::string("{\"v\":") + value + "}")["v"];
    ClusterAccount account;
    const absl::Status status = ParseClusterAccount(object, &account);
    ASSERT_FALSE(status.ok()) << key << value;
    EXPECT_NE(status.ToString().find(expected), std::string::npos) << status;
    EXPECT_EQ(account.meta.name, "prod") << "usable for reporting";
  }
}

TEST(LabelSelector, FollowsTheFourOperators) {
  LabelSelector selector;
  selector.match_labels = {{"env", "prod"}};
  selector.match_expressions = {{"tier", "NotIn", {"db"}}, {"x", "DoesNotExist", {}}};
  EXPECT_TRUE(selector.Matches({{"env", "prod"}}));
  EXPECT_FALSE(selector.Matches({{"env", "prod"}, {"tier", "db"}}));
  EXPECT_FALSE(selector.Matches({{"env", "prod"}, {"x", ""}}));
  EXPECT_FALSE(selector.Matches({{"env", "dev"}}));
}

TEST(AgentDeployment, NeedsExactlyOneOfRefsAndSelector) {
  AgentDeployment out;
  EXPECT_FALSE(ParseAgentDeployment(J(R"({"spec":{"mode":"Agent","accounts":{}}})"), &out).ok());
  EXPECT_TRUE(ParseAgentDeployment(
                  J(R"({"spec":{"mode":"Agent","accounts":{"refs":[{"name":"a"}]}}})"), &out)
                  .ok());
  EXPECT_FALSE(
      ParseAgentDeployment(
          J(R"({"spec":{"mode":"Agent","accounts":{"selector":{"matchLabels":{}}}}})"), &out)
          .ok());
}

}  // namespace
}  // namespace fairlead::api
