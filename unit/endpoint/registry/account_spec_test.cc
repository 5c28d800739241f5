#include "endpoint/registry/account_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace fairlead::endpoint::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

std::string Problem(const std::string& spec) {
  const auto parsed = ParseAccountSpec(spec);
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << spec;
  return std::string(parsed.status().message());
}

TEST(AccountSpec, TheLeastSpecHasSafeDefaults) {
  const auto spec = ParseAccountSpec(
      R"({"identities":["a"],"access":{"level":"Namespaces","namespaces":["shop"]}})");
  ASSERT_TRUE(spec.ok()) << spec.status().ToString();
  EXPECT_FALSE(spec->level_cluster);
  EXPECT_THAT(spec->access_namespaces, ElementsAre("shop"));
  EXPECT_FALSE(spec->keep_secret_data) << "secrets stay home unless asked for";
  EXPECT_EQ(spec->max_delete_percent, 30U);
  EXPECT_EQ(spec->max_delete_count, 500U);
  EXPECT_FALSE(spec->paused);
}

TEST(AccountSpec, EverythingIsRead) {
  const auto spec = ParseAccountSpec(R"({
    "environment": "prod", "identities": ["a", "b"], "pinnedClusterUid": "uid",
    "access": {"level": "Cluster", "assume": [{"namespaces": ["x"], "serviceAccount": "deployer"}]},
    "scope": {"namespaces": ["x"], "omitNamespaces": ["y"], "kinds": ["pods"], "omitKinds": ["events"],
              "customResources": [{"kubernetesKind": "Canary.flagger.app", "namespaced": false}],
              "clusterScoped": "Ignore", "onlySpinnakerManaged": true, "secretData": "Keep"},
    "permissions": {"mode": "Restricted", "read": ["r"], "write": ["w"]},
    "deletionProtection": {"maxPercent": 0, "maxCount": 7},
    "kubeconfigSecret": "k", "paused": true})");
  ASSERT_TRUE(spec.ok()) << spec.status().ToString();
  EXPECT_EQ(spec->environment, "prod");
  EXPECT_THAT(spec->identities, ElementsAre("a", "b"));
  EXPECT_EQ(spec->pinned_cluster_uid, "uid");
  ASSERT_EQ(spec->assume.size(), 1U);
  EXPECT_EQ(spec->assume[0].service_account, "deployer");
  ASSERT_EQ(spec->custom_resources.size(), 1U);
  EXPECT_FALSE(spec->custom_resources[0].namespaced);
  EXPECT_FALSE(spec->cluster_scoped);
  EXPECT_TRUE(spec->only_spinnaker_managed);
  EXPECT_TRUE(spec->keep_secret_data);
  EXPECT_TRUE(spec->restricted);
  EXPECT_EQ(spec->max_delete_percent, 0U);
  EXPECT_EQ(spec->max_delete_count, 7U);
  EXPECT_EQ(spec->kubeconfig_secret, "k");
  EXPECT_TRUE(spec->paused);
}

TEST(AccountSpec, ProblemsNameTheirPath) {
  const std::string good = R"("identities":["a"],"access":{"level":"Cluster"})";
  const struct {
    std::string spec;
    std::string start;
  } cases[] = {
      {"[]", "spec: must be an object"},
      {"{" + good + R"(,"scope":{"secretdata":"Keep"}})",
       R"(scope.secretdata: unknown key; did you mean "secretData"?)"},
      {"{" + good + R"(,"pausd":true})", R"(pausd: unknown key; did you mean "paused"?)"},
      {R"({"access":{"level":"Cluster"}})", "identities: at least one"},
      {R"({"identities":[""],"access":{"level":"Cluster"}})", "identities: must hold texts"},
      {R"({"identities":"a","access":{"level":"Cluster"}})", "identities: must be a list"},
      {R"({"identities":["a"]})", "access.level: is required"},
      {R"({"identities":["a"],"access":{"level":"World"}})", "access.level: must be one of"},
      {R"({"identities":["a"],"access":{"level":"Namespaces"}})",
       "access.namespaces: at least one"},
      {R"({"identities":["a"],"access":{"level":"Namespaces","namespaces":[]}})",
       "access.namespaces: at least one"},
      {R"({"identities":["a"],"access":{"level":"Cluster","assume":[{"namespaces":["x"]}]}})",
       "access.assume[0].serviceAccount: is required"},
      {"{" + good + R"(,"scope":{"customResources":[{"kubernetesKind":"A.b"},{"kind":"C"}]}})",
       "scope.customResources[1].kind: unknown key"},
      {"{" + good + R"(,"scope":{"secretData":"keep"}})", "scope.secretData: must be one of"},
      {"{" + good + R"(,"scope":7})", "scope: must be an object"},
      {"{" + good + R"(,"deletionProtection":{"maxPercent":101}})",
       "deletionProtection.maxPercent: must be a whole number from 0 to 100"},
      {"{" + good + R"(,"deletionProtection":{"maxCount":-1}})", "deletionProtection.maxCount"},
      {"{" + good + R"(,"deletionProtection":{"maxPercent":2.5}})",
       "deletionProtection.maxPercent"},
      {"{" + good + R"(,"permissions":{"read":[]}})", "permissions.mode: is required"},
      {"{" + good + R"(,"paused":"yes"})", "paused: must be true or false"},
      {"{" + good + R"(,"environment":")" + std::string(254, 'x') + "\"}", "environment: must be"},
  };
  for (const auto& one : cases) EXPECT_THAT(Problem(one.spec), StartsWith(one.start)) << one.spec;
}

TEST(AccountSpec, HostileTextIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("null garbage"), std::string(300'000, ' '),
        std::string(100'000, '['), std::string("{\"identities\":[\"a\xff\"]}")}) {
    EXPECT_FALSE(ParseAccountSpec(text).ok()) << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace fairlead::endpoint::registry
