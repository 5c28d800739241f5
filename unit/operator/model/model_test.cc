#include <gtest/gtest.h>
#include <json/reader.h>

#include <algorithm>
#include <sstream>

#include "operator/model/agent_objects.h"
#include "operator/model/conditions.h"
#include "operator/model/intent.h"

namespace fairlead::op {
namespace {

Json::Value J(const std::string& text) {
  Json::Value out;
  std::istringstream in(text);
  in >> out;
  return out;
}

TEST(Intent, LiveMayHaveMoreButNotLessAndNotOther) {
  EXPECT_TRUE(Contains(J(R"({"a":1,"b":{"c":"x","d":2}})"), J(R"({"b":{"c":"x"}})")));
  EXPECT_FALSE(Contains(J(R"({"a":1})"), J(R"({"b":1})")));
  EXPECT_EQ(FirstDifference(J(R"({"l":[{"image":"a"}]})"), J(R"({"l":[{"image":"b"}]})")),
            "l[0].image");
  EXPECT_FALSE(Contains(J(R"({"l":[1,2]})"), J(R"({"l":[1]})"))) << "an element was added";
}

TEST(Intent, QuantitiesAreComparedByAmount) {
  EXPECT_TRUE(Contains(J(R"({"cpu":"1"})"), J(R"({"cpu":"1000m"})")));
  EXPECT_TRUE(Contains(J(R"({"memory":"64Mi"})"), J(R"({"memory":"65536Ki"})")));
  EXPECT_FALSE(Contains(J(R"({"memory":"64Mi"})"), J(R"({"memory":"65Mi"})")));
  EXPECT_FALSE(Contains(J(R"({"tag":"1.0-a"})"), J(R"({"tag":"1.0-b"})")));
}

TEST(Intent, AFieldThatIsNotSentAnyMoreIsNoticedByTheStamp) {
  Json::Value before = J(R"({"metadata":{"name":"x"},"spec":{"a":1,"b":2}})");
  StampIntent(&before);
  Json::Value after = J(R"({"metadata":{"name":"x"},"spec":{"a":1}})");
  StampIntent(&after);
  EXPECT_FALSE(NeedsApply(before, before));
  EXPECT_TRUE(NeedsApply(before, after)) << "live still has spec.b";
}

TEST(Conditions, TransitionTimeMovesOnlyWithTheStatus) {
  api::Condition old{"Ready", "True", "Fine", "m", "2026-01-01T00:00:00Z", 1};
  ConditionSet set({old}, 2, "2026-02-02T00:00:00Z");
  set.Set("Ready", "True", "Better", "n");
  EXPECT_EQ(set.Find("Ready")->last_transition_time, "2026-01-01T00:00:00Z");
  EXPECT_EQ(set.Find("Ready")->observed_generation, 2);
  set.Set("Ready", "False", "Worse", "n");
  EXPECT_EQ(set.Find("Ready")->last_transition_time, "2026-02-02T00:00:00Z");
  set.Set("Ready", "True", "Better", "n");
  EXPECT_EQ(set.Find("Ready")->last_transition_time, "2026-01-01T00:00:00Z")
      << "a detour within one visit is none";
}

TEST(Conditions, AMessageIsCutBetweenCharacters) {
  ConditionSet set({}, 1, "now");
  set.Set(kReady, "False", "X", std::string(1023, 'a') + "ü");
  EXPECT_EQ(set.Find(kReady)->message, std::string(1023, 'a'));
}

TEST(Conditions, ReconcilingAndStalledAreNeverBothTrue) {
  ConditionSet set({}, 1, "t");
  set.SetProgressing("Working", "");
  set.SetStalled("InvalidSpec", "spec.x: is required");
  EXPECT_TRUE(set.IsTrue(kStalled));
  EXPECT_FALSE(set.IsTrue(kReconciling));
  set.SetProgressing("Working", "");
  EXPECT_FALSE(set.IsTrue(kStalled));
}

class Render : public ::testing::Test {
 protected:
  Render() {
    account.meta.name = "prod";
    account.account_name = "prod_EU1";
    account.access.profile = "deploy";
    account.access.cluster_level = true;
    input.installation = {"hub", "ad", "ca"};
    input.account = &account;
    input.deployment = &deployment;
    input.default_image = {"fairlead.local", "agent", "1", "", "IfNotPresent"};
    input.profile = &deploy;
    input.base = &base;
    input.endpoint_addresses = {"e:9443"};
    input.endpoint_name = "e";
    input.identity = "prod-1";
  }
  const RenderedObject* Find(const RenderedAgent& agent, const std::string& kind,
                             const std::string& suffix = "") {
    for (const RenderedObject& one : agent.objects) {
      if (one.kind == kind && one.name == agent.name + suffix) return &one;
    }
    return nullptr;
  }
  api::ClusterAccount account;
  api::AgentDeployment deployment;
  Profile deploy{"deploy", "fairlead:agent:deploy", {}};
  Profile base{"base", "fairlead:agent:base", {}};
  RenderInput input;
};

TEST_F(Render, IsTheSameForTheSameInput) {
  const RenderedAgent a = *RenderAgent(input);
  const RenderedAgent b = *RenderAgent(input);
  ASSERT_EQ(a.objects.size(), b.objects.size());
  for (size_t i = 0; i < a.objects.size(); ++i) EXPECT_EQ(a.objects[i].object, b.objects[i].object);
}

TEST_F(Render, ClusterLevelIsOneClusterRoleBindingAndNamespacesAreRoleBindings) {
  const RenderedAgent cluster = *RenderAgent(input);
  ASSERT_NE(Find(cluster, "ClusterRoleBinding", "-deploy"), nullptr);
  account.access.cluster_level = false;
  account.access.namespaces = {"shop", "pay"};
  const RenderedAgent scoped = *RenderAgent(input);
  EXPECT_EQ(Find(scoped, "ClusterRoleBinding", "-deploy"), nullptr);
  EXPECT_NE(Find(scoped, "ClusterRoleBinding", "-base"), nullptr);
  EXPECT_EQ(std::count_if(scoped.objects.begin(), scoped.objects.end(),
                          [](const auto& one) {
                            return one.kind == "RoleBinding" &&
                                   one.object["roleRef"]["name"] == "fairlead:agent:deploy";
                          }),
            2);
}

TEST_F(Render, ARevisionChangesWithWhatRestartsAPodAndWithNothingElse) {
  const std::string before = RenderAgent(input)->revision;
  deployment.replicas = 3;
  EXPECT_EQ(RenderAgent(input)->revision, before);
  account.access.cluster_level = false;
  account.access.namespaces = {"shop"};
  EXPECT_EQ(RenderAgent(input)->revision, before) << "rights restart nothing";
  input.default_image.tag = "2";
  EXPECT_NE(RenderAgent(input)->revision, before);
}

TEST_F(Render, ThePodIsRestricted) {
  const RenderedAgent agent = *RenderAgent(input);
  const Json::Value& pod = Find(agent, "Deployment")->object["spec"]["template"]["spec"];
  EXPECT_TRUE(pod["securityContext"]["runAsNonRoot"].asBool());
  EXPECT_EQ(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  const Json::Value& security = pod["containers"][0]["securityContext"];
  EXPECT_FALSE(security["allowPrivilegeEscalation"].asBool());
  EXPECT_EQ(security["capabilities"]["drop"][0], "ALL");
  EXPECT_EQ(pod["containers"][0]["image"], "fairlead.local/agent:1");
}

TEST_F(Render, UserLabelsNeverReplaceOurs) {
  deployment.pod_labels = {{kAgentLabel, "stolen"}, {"team", "x"}};
  const RenderedAgent agent = *RenderAgent(input);
  const Json::Value& labels =
      Find(agent, "Deployment")->object["spec"]["template"]["metadata"]["labels"];
  EXPECT_EQ(labels[kAgentLabel], input.installation.Hash());
  EXPECT_EQ(labels["team"], "x");
}

TEST_F(Render, AnUnknownProfileIsRefusedByName) {
  input.profile = nullptr;
  account.access.profile = "root";
  const auto agent = RenderAgent(input);
  ASSERT_FALSE(agent.ok());
  EXPECT_NE(agent.status().ToString().find("\"root\""), std::string::npos);
}

TEST(Names, DifferInEveryPartAndStayShort) {
  const Installation a{"h", "d", "c"};
  EXPECT_NE(a.Name(), (Installation{"h", "dc", ""}).Name());
  EXPECT_NE(a.Name(), (Installation{"h2", "d", "c"}).Name());
  EXPECT_LE(AgentIdentity("h", std::string(63, 'A'), "u").size(), 63u);
}

}  // namespace
}  // namespace fairlead::op
