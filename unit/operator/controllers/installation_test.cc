// An agent's whole way through the three reconcilers: claimed, started, installed, corrected, taken
// away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/operator/controllers/world.h"

namespace fairlead::op {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class InstallationTest : public ::testing::Test {
 protected:
  InstallationTest() {
    PutKubeconfig(&servers_);
    PutAccount(&servers_);
    PutDeployment(&servers_);
    world_ = std::make_unique<World>(&servers_);
    world_->ClearWrites();
  }
  // Rounds until the agent serves and nothing is written any more.
  void Converge() {
    for (int i = 0; i < 8; ++i) {
      world_->Round();
      world_->RunAgents(&servers_.spoke, "spoke");
    }
    world_->ClearWrites();
    world_->Round();
    ASSERT_THAT(world_->Writes(), IsEmpty());
    ASSERT_EQ(world_->Condition("agentdeployments", "agents", "Ready"), "True/AllServed");
  }
  std::vector<std::string> Objects(const std::string& resource) {
    std::vector<std::string> out;
    world_->On([&] {
      for (const Json::Value& one : servers_.spoke.List(resource)) {
        out.push_back(World::NameOf(one));
      }
    });
    return out;
  }
  std::vector<std::string> EverythingInstalled() {
    std::vector<std::string> out;
    for (const char* resource :
         {"deployments", "poddisruptionbudgets", "configmaps", "secrets", "serviceaccounts",
          "roles", "rolebindings", "clusterrolebindings"}) {
      for (const std::string& one : Objects(resource)) {
        out.push_back(base::StrCat(resource, "/", one));
      }
    }
    return out;
  }
  void EditHub(const std::string& resource, const std::string& name,
               const std::function<void(Json::Value*)>& edit) {
    world_->On([&] { servers_.hub.Edit(resource, kSpace, name, edit); });
  }
  void EditSpoke(const std::string& resource, const std::function<void(Json::Value*)>& edit) {
    world_->On([&] {
      for (const Json::Value& one : servers_.spoke.List(resource)) {
        servers_.spoke.Edit(resource, one["metadata"]["namespace"].asString(), World::NameOf(one),
                            edit);
      }
    });
  }
  std::vector<std::string> SpokeWrites() {
    std::vector<std::string> out;
    world_->On([&] { out = servers_.spoke.writes(); });
    return out;
  }
  void Delete(const std::string& resource, const std::string& name) {
    world_->On([&] { servers_.hub.Remove(resource, kSpace, name); });
  }

  Servers servers_;
  std::unique_ptr<World> world_;
};

TEST_F(InstallationTest, AnAgentIsInstalledAndServes) {
  Converge();
  EXPECT_EQ(Objects("deployments").size(), 1u);
  EXPECT_EQ(Objects("poddisruptionbudgets").size(), 1u);
  EXPECT_EQ(Objects("clusterrolebindings").size(), 1u);
  const Json::Value agent = world_->Hub("clusteraccounts", "spoke")["status"]["agent"];
  EXPECT_EQ(agent["state"], "Succeeded");
  EXPECT_EQ(agent["targetRevision"], agent["observedRevision"]);
}

TEST_F(InstallationTest, EventsTellOfChangesAndASteadyStateOfNothing) {
  for (int i = 0; i < 8; ++i) {
    world_->Round();
    world_->RunAgents(&servers_.spoke, "spoke");
  }
  const auto of = [&](const std::string& event) {
    return std::count(world_->events.begin(), world_->events.end(), event);
  };
  for (const char* one : {"ClusterAccount/Registered", "ClusterAccount/AgentConnected",
                          "AgentDeployment/RolloutStarted", "AgentDeployment/RollingOut",
                          "AgentDeployment/AllServed", "AgentDeployment/RolloutFinished"}) {
    EXPECT_EQ(of(one), 1) << one;
  }
  EXPECT_EQ(of("ClusterAccount/NoAgent"), 0) << "a new account's is no news";
  EXPECT_EQ(of("ClusterAccount/DriftCorrected"), 0) << "nobody interfered";
  world_->events.clear();
  for (int i = 0; i < 10; ++i) world_->Round();
  EXPECT_THAT(world_->events, IsEmpty());
  EditSpoke("configmaps", [](Json::Value* live) { (*live)["data"]["agent.yaml"] = "other"; });
  world_->Round();
  EXPECT_THAT(world_->events, ::testing::ElementsAre("ClusterAccount/DriftCorrected"));
}

TEST_F(InstallationTest, FinalizerThenPinThenTargetRevisionAreStoredBeforeTheFirstRemoteWrite) {
  bool looked = false;
  world_->On([&] {
    servers_.spoke.set_script([&](const net::HttpRequest& request) {
      if (request.method != "GET") {
        looked = true;
        const Json::Value account = servers_.hub.Get("clusteraccounts", kSpace, "spoke");
        const Json::Value deployment = servers_.hub.Get("agentdeployments", kSpace, "agents");
        EXPECT_EQ(account["metadata"]["finalizers"][0], kFinalizer);
        EXPECT_EQ(deployment["metadata"]["finalizers"][0], kFinalizer);
        EXPECT_EQ(account["status"]["clusterUID"], "spoke-uid-1");
        EXPECT_TRUE(account["status"]["agent"]["targetRevision"].isString());
      }
      return fakes::FakeHub::Fate{};
    });
  });
  Converge();
  EXPECT_TRUE(looked);
  world_->On([&] { servers_.spoke.set_script(nullptr); });
}

TEST_F(InstallationTest, ASteadyStateWritesNothing) {
  Converge();
  for (int i = 0; i < 10; ++i) {
    servers_.clock.Advance(base::minutes(10));
    world_->Round();
  }
  EXPECT_THAT(world_->Writes(), IsEmpty());
}

TEST_F(InstallationTest, ANewOperatorFindsItsWorkDoneAndWritesNothing) {
  Converge();
  world_ = std::make_unique<World>(&servers_);
  world_->ClearWrites();
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_THAT(world_->Writes(), IsEmpty());
}

TEST_F(InstallationTest, WhatOthersChangeIsCorrectedAndWhatIsNotOursIsLeft) {
  Converge();
  EditSpoke("deployments", [](Json::Value* live) {
    (*live)["spec"]["template"]["spec"]["containers"][0]["image"] = "evil";
    (*live)["metadata"]["annotations"]["theirs"] = "stays";
  });
  world_->Round();
  Json::Value live;
  world_->On([&] { live = servers_.spoke.List("deployments")[0]; });
  EXPECT_EQ(live["spec"]["template"]["spec"]["containers"][0]["image"], "r/agent:1");
  EXPECT_EQ(live["metadata"]["annotations"]["theirs"], "stays");
}

TEST_F(InstallationTest, AForeignObjectOfOurNameIsRefusedAndUntouched) {
  Converge();
  EditSpoke("configmaps", [](Json::Value* live) {
    (*live)["metadata"]["annotations"][kOwnerAnnotation] = "somebody/else/x";
    (*live)["data"]["agent.yaml"] = "theirs";
  });
  world_->Round();
  world_->Round();
  EXPECT_THAT(SpokeWrites(), IsEmpty());
  EXPECT_EQ(world_->Condition("agentdeployments", "agents", "Ready"), "False/InstallFailed");
  Delete("clusteraccounts", "spoke");
  for (int i = 0; i < 6; ++i) world_->Round();
  EXPECT_TRUE(world_->Hub("clusteraccounts", "spoke").isNull());
  EXPECT_EQ(Objects("configmaps").size(), 1u) << "a stranger's is not ours to take";
}

TEST_F(InstallationTest, AnotherClusterBehindTheAddressGetsNoWriteNeitherInstallNorCleanup) {
  Converge();
  world_->On([&] {
    servers_.spoke.Edit("namespaces", "", "kube-system",
                        [](Json::Value* live) { (*live)["metadata"]["uid"] = "another"; });
  });
  EditSpoke("deployments", [](Json::Value* live) { (*live)["spec"]["replicas"] = 7; });
  world_->ClearWrites();
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_EQ(world_->Condition("clusteraccounts", "spoke", "Stalled"), "True/ClusterChanged");
  EXPECT_EQ(world_->Condition("agentdeployments", "agents", "Ready"), "False/ClusterChanged");
  Delete("clusteraccounts", "spoke");
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_EQ(world_->Condition("clusteraccounts", "spoke", "Deleting"), "True/RemovalBlocked");
  EXPECT_THAT(SpokeWrites(), IsEmpty());
}

TEST_F(InstallationTest, TheWorkloadGoesFirstAndTheRestWaitsUntilItIsGone) {
  Converge();
  world_->On([&] { servers_.spoke.HoldForeground(); });
  world_->ClearWrites();
  Delete("clusteraccounts", "spoke");
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_THAT(SpokeWrites(), AllOf(Each(HasSubstr("DELETE")), Each(HasSubstr("/deployments/"))));
  EXPECT_EQ(Objects("serviceaccounts").size(), 1u) << "the agent keeps its rights until it is gone";
  EXPECT_THAT(servers_.endpoint.accounts(), IsEmpty()) << "its identity ended before";
  EXPECT_FALSE(world_->Hub("clusteraccounts", "spoke").isNull());
  world_->On([&] { servers_.spoke.FinishForeground(); });
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_THAT(EverythingInstalled(), IsEmpty());
  EXPECT_TRUE(world_->Hub("clusteraccounts", "spoke").isNull());
}

TEST_F(InstallationTest, EveryDeleteNamesTheUidItMeans) {
  Converge();
  int deletes = 0;
  world_->On([&] {
    servers_.spoke.set_script([&](const net::HttpRequest& request) {
      if (request.method == "DELETE") {
        ++deletes;
        EXPECT_TRUE(J(request.body)["preconditions"]["uid"].isString()) << request.target;
      }
      return fakes::FakeHub::Fate{};
    });
  });
  Delete("agentdeployments", "agents");
  for (int i = 0; i < 5; ++i) world_->Round();
  EXPECT_GT(deletes, 5);
  EXPECT_THAT(EverythingInstalled(), IsEmpty());
  EXPECT_TRUE(world_->Hub("agentdeployments", "agents").isNull());
  EXPECT_TRUE(world_->Hub("clusteraccounts", "spoke")["status"]["agent"].isNull()) << "released";
  world_->On([&] { servers_.spoke.set_script(nullptr); });
}

TEST_F(InstallationTest, AClusterThatIsGoneForEverIsGivenUpAfterItsTime) {
  Converge();
  world_->On([&] {
    servers_.spoke.set_script(
        [](const net::HttpRequest&) { return fakes::FakeHub::Fate{.lost = true}; });
  });
  Delete("clusteraccounts", "spoke");
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_EQ(world_->Condition("clusteraccounts", "spoke", "Deleting"), "True/RemovalBlocked");
  servers_.clock.Advance(base::seconds(3601));
  for (int i = 0; i < 2; ++i) world_->Round();
  EXPECT_TRUE(world_->Hub("clusteraccounts", "spoke").isNull());
  EXPECT_THAT(world_->events, Contains("ClusterAccount/AgentAbandoned"));
}

TEST_F(InstallationTest, AbsenceIsNeverDeletion) {
  Converge();
  const auto before = EverythingInstalled();
  const std::pair<const char*, fakes::FakeHub::Fate> answers[] = {
      {"403", {.status = 403, .reason = "Forbidden"}},
      {"404", {.status = 404}},
      {"lost", {.lost = true}}};
  for (const auto& [name, fate] : answers) {
    for (fakes::FakeHub* server : {&servers_.hub, &servers_.spoke}) {
      world_->On([&, fate = fate] {
        server->set_script([fate](const net::HttpRequest& request) {
          return request.method == "GET" ? fate : fakes::FakeHub::Fate{};
        });
        server->Compact();
      });
      world_->ClearWrites();
      for (int i = 0; i < 3; ++i) world_->Round();
      for (const std::string& write : world_->Writes()) {
        EXPECT_THAT(write, Not(HasSubstr("DELETE"))) << name;
      }
      world_->On([&] { server->set_script(nullptr); });
    }
  }
  EXPECT_EQ(EverythingInstalled(), before);
}

TEST_F(InstallationTest, AHubThatSuddenlyListsNothingDeletesNothing) {
  Converge();
  const auto before = EverythingInstalled();
  world_->On([&] {
    servers_.hub.Lose("clusteraccounts", kSpace, "spoke");
    servers_.hub.Lose("agentdeployments", kSpace, "agents");
    servers_.hub.Compact();
  });
  world_ = std::make_unique<World>(&servers_);
  world_->ClearWrites();
  world_->Account("spoke");
  world_->Deployment("agents");
  world_->Install("spoke");
  EXPECT_THAT(world_->Writes(), IsEmpty());
  EXPECT_EQ(EverythingInstalled(), before);
}

TEST_F(InstallationTest, WithoutLeadershipNothingIsWrittenAnywhere) {
  Converge();
  servers_.leading = false;
  EditSpoke("deployments", [](Json::Value* live) { (*live)["spec"]["replicas"] = 7; });
  EditHub("agentdeployments", "agents",
          [](Json::Value* live) { (*live)["spec"]["image"]["tag"] = "2"; });
  for (int i = 0; i < 3; ++i) world_->Round();
  Delete("clusteraccounts", "spoke");
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_THAT(world_->Writes(), IsEmpty());
}

TEST_F(InstallationTest, ASingleReplicaKeepsNoDisruptionBudget) {
  Converge();
  EditHub("agentdeployments", "agents", [](Json::Value* live) { (*live)["spec"]["replicas"] = 1; });
  Converge();
  EXPECT_THAT(Objects("poddisruptionbudgets"), IsEmpty()) << "it would block every drain";
}

TEST_F(InstallationTest, AProfileThatChangesIsBoundAnewBeforeTheOldOneGoes) {
  Converge();
  EditHub("clusteraccounts", "spoke",
          [](Json::Value* live) { (*live)["spec"]["access"]["profile"] = "deploy"; });
  world_->ClearWrites();
  for (int i = 0; i < 4; ++i) world_->Round();
  const auto writes = SpokeWrites();
  const auto made = std::find_if(writes.begin(), writes.end(), [](const auto& one) {
    return one.starts_with("PATCH") && one.find("-deploy?") != std::string::npos;
  });
  const auto gone = std::find_if(writes.begin(), writes.end(), [](const auto& one) {
    return one.starts_with("DELETE") && one.ends_with("-read");
  });
  EXPECT_NE(made, writes.end());
  EXPECT_NE(gone, writes.end());
  EXPECT_LT(made, gone);
}

TEST_F(InstallationTest, TheAccountOfAnotherDeploymentIsNotTaken) {
  Converge();
  world_->On([&] { PutDeployment(&servers_, "second"); });
  for (int i = 0; i < 4; ++i) world_->Round();
  EXPECT_EQ(world_->Condition("agentdeployments", "second", "Ready"), "False/AccountTaken");
  EXPECT_EQ(Objects("deployments").size(), 1u);
  EXPECT_EQ(world_->Condition("agentdeployments", "agents", "Ready"), "True/AllServed");
}

TEST_F(InstallationTest, WhatWasDecidedFromAnOldViewIsNotWritten) {
  for (int i = 0; i < 2; ++i) world_->Round();
  world_->On([&] { servers_.hub.HoldWatches(); });
  EditHub("clusteraccounts", "spoke", [](Json::Value* live) {
    (*live)["status"]["agent"] = J(R"({"uid":"another","deploymentRef":{"name":"another"}})");
  });
  for (int i = 0; i < 3; ++i) world_->Round();
  EXPECT_EQ(world_->Hub("clusteraccounts", "spoke")["status"]["agent"]["uid"], "another");
  EXPECT_THAT(Objects("deployments"), IsEmpty());
}

TEST_F(InstallationTest, AnAccountThatAnotherTookDuringTheVisitIsNotTakenFromIt) {
  world_->On([&] { PutAccount(&servers_, "later"); });
  world_->Deployment("agents");  // its finalizer
  // While this visit claims "later", another deployment gets "spoke", and the watch says so.
  world_->On([&] {
    servers_.hub.set_script([&](const net::HttpRequest& request) {
      if (request.target.find("clusteraccounts/later/status") != std::string::npos) {
        servers_.hub.Edit("clusteraccounts", kSpace, "spoke", [](Json::Value* live) {
          (*live)["status"]["agent"] = J(R"({"uid":"another","deploymentRef":{"name":"another"}})");
        });
      }
      return fakes::FakeHub::Fate{};
    });
  });
  const ReconcileResult result = world_->Deployment("agents");
  world_->On([&] { servers_.hub.set_script(nullptr); });
  EXPECT_EQ(world_->Hub("clusteraccounts", "later")["status"]["agent"]["state"], "Pending");
  EXPECT_EQ(world_->Hub("clusteraccounts", "spoke")["status"]["agent"]["uid"], "another");
  EXPECT_EQ(result.outcome, Outcome::kDone) << "a race that was lost is no error";
  EXPECT_EQ(result.again_after, base::Duration(base::seconds(2)));
}

TEST_F(InstallationTest, AnAccountThatIsNotSelectedAnyMoreIsEmptiedThoughTheInstallerIsDue) {
  Converge();
  EditHub("clusteraccounts", "spoke",
          [](Json::Value* live) { (*live)["metadata"]["labels"]["env"] = "other"; });
  for (int i = 0; i < 8; ++i) {
    world_->Install("spoke");
    world_->Round();
  }
  EXPECT_THAT(EverythingInstalled(), IsEmpty());
  EXPECT_TRUE(world_->Hub("clusteraccounts", "spoke")["status"]["agent"].isNull()) << "released";
}

TEST_F(InstallationTest, AnInstallerThatWaitedForARemovalInstallsNothing) {
  Converge();
  EditSpoke("configmaps", [](Json::Value* live) { (*live)["data"]["agent.yaml"] = "other"; });
  world_->ClearWrites();
  const std::string uid = world_->Hub("clusteraccounts", "spoke")["metadata"]["uid"].asString();
  std::future<ReconcileResult> waits;
  {
    const base::MutexLock removal = world_->context.locks.Lock(uid);
    waits = std::async(std::launch::async, [&] { return world_->Install("spoke"); });
    world_->Settle();
    Delete("agentdeployments", "agents");
    world_->Settle();
  }
  waits.get();
  EXPECT_THAT(SpokeWrites(), IsEmpty());
}

// As the library kstatus computes it (sigs.k8s.io/cli-utils, pkg/kstatus).
std::string Kstatus(const Json::Value& object) {
  const Json::Value& meta = object["metadata"];
  if (meta.isMember("deletionTimestamp")) return "Terminating";
  if (meta["generation"] != object["status"]["observedGeneration"]) return "InProgress";
  for (const Json::Value& one : object["status"]["conditions"]) {
    if (one["type"] == "Reconciling" && one["status"] == "True") return "InProgress";
    if (one["type"] == "Stalled" && one["status"] == "True") return "Failed";
  }
  return "Current";
}

TEST_F(InstallationTest, KstatusReadsEveryStageRight) {
  const auto account = [&] { return Kstatus(world_->Hub("clusteraccounts", "spoke")); };
  const auto deployment = [&] { return Kstatus(world_->Hub("agentdeployments", "agents")); };
  EXPECT_EQ(account(), "InProgress") << "before the first visit";
  EXPECT_EQ(deployment(), "InProgress");
  for (int i = 0; i < 4; ++i) world_->Round();
  EXPECT_EQ(account(), "Current") << "an account does not wait for its agent";
  EXPECT_EQ(deployment(), "InProgress") << "the pods are not up";
  Converge();
  EXPECT_EQ(deployment(), "Current");
  EditHub("agentdeployments", "agents",
          [](Json::Value* live) { (*live)["spec"]["rollout"]["type"] = "Waves"; });
  EXPECT_EQ(deployment(), "InProgress") << "edited and not seen";
  world_->Round();
  EXPECT_EQ(deployment(), "Failed") << "nothing goes on by itself";
  Delete("clusteraccounts", "spoke");
  EXPECT_EQ(account(), "Terminating");
}

TEST_F(InstallationTest, MoreFailingAccountsThanStatusHoldsAreCutAndTheStatusIsWritten) {
  world_->On([&] {
    for (int i = 0; i < 15; ++i) {
      PutAccount(&servers_, base::StrCat("a", i),
                 R"({"connection":{"kubeconfig":{"purpose":"Serve","secretRef":{"name":"x"}}},
                     "access":{"profile":"read","level":"Cluster"},
                     "permissions":{"mode":"Unrestricted"}})");
    }
  });
  for (int i = 0; i < 4; ++i) world_->Round();
  const Json::Value status = world_->Hub("agentdeployments", "agents")["status"];
  EXPECT_EQ(status["failing"].size(), 10u) << "as many as the schema takes";
}

}  // namespace
}  // namespace fairlead::op
