// Clusters that are away, for a while or for ever, and what that does to everything else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include "unit/operator/controllers/world.h"

namespace fairlead::op {
namespace {

using ::testing::IsEmpty;

class LostClusterTest : public ::testing::Test {
 protected:
  LostClusterTest() {
    PutKubeconfig(&servers_);
    PutAccount(&servers_);
    PutDeployment(&servers_);
  }
  World& world() {
    if (!world_) world_ = std::make_unique<World>(&servers_);
    return *world_;
  }
  void Rounds(int rounds) {
    for (int i = 0; i < rounds; ++i) world().Round();
  }
  // Of every request to the hub whose target has `part`.
  void HubFate(const std::string& part, const fakes::FakeHub::Fate& fate) {
    world().On([&] {
      servers_.hub.set_script([part, fate](const net::HttpRequest& request) {
        const bool meant = request.target.find(part) != std::string::npos;
        return meant ? fate : fakes::FakeHub::Fate{};
      });
    });
  }

  Servers servers_;
  std::unique_ptr<World> world_;
};

TEST_F(LostClusterTest, AnAccountThatCannotBeLetGoOfHoldsUpNoOther) {
  Rounds(4);
  ASSERT_EQ(world().Hub("clusteraccounts", "spoke")["status"]["agent"]["state"], "Progressing");
  world().On([&] {
    PutAccount(&servers_, "next", R"({"connection":{"inCluster":{}},
        "access":{"profile":"read","level":"Cluster"},"permissions":{"mode":"Unrestricted"}})");
    servers_.hub.Remove("secrets", kSpace, "spoke-kubeconfig");
    servers_.hub.Edit("clusteraccounts", kSpace, "spoke",
                      [](Json::Value* live) { (*live)["metadata"]["labels"]["env"] = "other"; });
  });
  Rounds(4);
  EXPECT_TRUE(world().Hub("clusteraccounts", "next")["status"]["agent"].isMember("targetRevision"));
  const Json::Value status = world().Hub("agentdeployments", "agents")["status"];
  ASSERT_EQ(status["failing"].size(), 1u);
  EXPECT_EQ(status["failing"][0]["account"], "spoke");
  EXPECT_EQ(status["failing"][0]["reason"], kReasonRemovalBlocked);
  EXPECT_EQ(status["accounts"]["desired"], 1);
  EXPECT_EQ(world().Deployment("agents").outcome, Outcome::kRetry) << "it is tried again";
  EXPECT_EQ(world().Hub("clusteraccounts", "spoke")["status"]["agent"]["state"], "Progressing")
      << "still held: something is installed there";
}

TEST_F(LostClusterTest, AClusterThatStaysAwayIsWrittenDownOnce) {
  servers_.pause = base::seconds(15);
  Rounds(4);
  world().On([&] {
    servers_.spoke.set_script(
        [](const net::HttpRequest&) { return fakes::FakeHub::Fate{.lost = true}; });
  });
  Rounds(3);
  ASSERT_EQ(world().Condition("clusteraccounts", "spoke", "Ready"), "False/ClusterUnreachable");
  ASSERT_EQ(world().Condition("agentdeployments", "agents", "Ready"), "False/ClusterUnreachable");
  world().ClearWrites();
  for (int i = 0; i < 20; ++i) {  // some visits ask the cluster, some fall into a pause
    servers_.clock.Advance(base::seconds(7));
    Rounds(1);
    EXPECT_THAT(world().Writes(), IsEmpty()) << "visit " << i;
  }
}

TEST_F(LostClusterTest, AClusterThatAsksForPatienceIsWrittenDownOnce) {
  Rounds(4);
  world().On([&] {
    servers_.spoke.set_script([](const net::HttpRequest&) {
      return fakes::FakeHub::Fate{
          .status = 429, .reason = "TooManyRequests", .retry_after_seconds = 15};
    });
  });
  Rounds(3);
  world().ClearWrites();
  for (int i = 0; i < 20; ++i) {
    servers_.clock.Advance(base::seconds(7));
    Rounds(1);
    EXPECT_THAT(world().Writes(), IsEmpty()) << "visit " << i;
  }
}

TEST_F(LostClusterTest, WhatIsOnlyAwayIsNoBadCredential) {
  Rounds(4);
  HubFate("/secrets/spoke-kubeconfig", {.lost = true});
  Rounds(2);
  EXPECT_EQ(world().Condition("clusteraccounts", "spoke", "Ready"), "False/ClusterUnreachable");
  EXPECT_EQ(world().Condition("agentdeployments", "agents", "Ready"), "False/ClusterUnreachable");
  HubFate("/secrets/spoke-kubeconfig", {});
  world().On([&] {
    servers_.hub.Edit("secrets", kSpace, "spoke-kubeconfig", [](Json::Value* live) {
      (*live)["data"]["value"] = absl::Base64Escape(Kubeconfig("https://gone.example.com:6443"));
    });
  });
  servers_.resolve = [](const std::string& host) { return NotResolved(host, EAI_NONAME, 0); };
  Rounds(2);
  EXPECT_EQ(world().Condition("clusteraccounts", "spoke", "Ready"), "False/ClusterUnreachable");
  EXPECT_EQ(world().Account("spoke").outcome, Outcome::kRetry);
  HubFate("/secrets/spoke-kubeconfig", {.status = 404, .reason = "NotFound"});
  Rounds(2);
  EXPECT_EQ(world().Condition("clusteraccounts", "spoke", "Ready"), "False/CredentialNotFound");
  EXPECT_EQ(world().Condition("agentdeployments", "agents", "Ready"), "False/CredentialNotFound");
}

}  // namespace
}  // namespace fairlead::op
