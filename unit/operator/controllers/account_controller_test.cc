#include "operator/controllers/account_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/operator/controllers/world.h"

namespace fairlead::op {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AccountControllerTest : public ::testing::Test {
 protected:
  AccountControllerTest() {
    PutKubeconfig(&servers_);
    PutAccount(&servers_);
  }
  World& world() {
    if (!world_) {
      world_ = std::make_unique<World>(&servers_);
      EXPECT_TRUE(world_->prepared.ok()) << world_->prepared;
      world_->ClearWrites();
    }
    return *world_;
  }
  // The finalizer, and then one full visit.
  void Visit() {
    world().Account("spoke");
    world().Account("spoke");
    world().Settle();
  }
  std::string Condition(const std::string& type) {
    return world().Condition("clusteraccounts", "spoke", type);
  }
  std::string Ready() { return Condition("Ready"); }
  Json::Value Live() { return world().Hub("clusteraccounts", "spoke"); }
  void Edit(const std::function<void(Json::Value*)>& edit) {
    world().On([&] { servers_.hub.Edit("clusteraccounts", kSpace, "spoke", edit); });
  }
  std::string Times() {
    std::string out;
    const Json::Value live = Live();
    for (const Json::Value& one : live["status"]["conditions"]) {
      out += one["type"].asString() + "=" + one["lastTransitionTime"].asString() + " ";
    }
    return out;
  }

  Servers servers_;
  std::unique_ptr<World> world_;
};

TEST_F(AccountControllerTest, AGoodAccountIsRegisteredPinnedAndReady) {
  Visit();
  EXPECT_EQ(Ready(), "True/Registered");
  const Json::Value live = Live();
  EXPECT_EQ(live["status"]["clusterUID"], "spoke-uid-1");
  EXPECT_EQ(live["status"]["kubernetesVersion"], "v1.31.0");
  EXPECT_EQ(live["status"]["accountUID"], "account-1");
  EXPECT_EQ(live["status"]["observedGeneration"], live["metadata"]["generation"]);
  ASSERT_TRUE(servers_.endpoint.accounts().contains("spoke"));
  EXPECT_EQ(servers_.endpoint.accounts()["spoke"].body["owner"], "hub-uid-1/fairlead/spoke");
}

TEST_F(AccountControllerTest, TheFinalizerIsStoredBeforeTheNameIsClaimed) {
  bool stored_first = true;
  world();  // before the script: its own certificates are no claim
  servers_.endpoint.script = [&](const std::string& request) {
    if (!request.starts_with("GET")) {
      const Json::Value live = servers_.hub.Get("clusteraccounts", kSpace, "spoke");
      stored_first = stored_first && live["metadata"]["finalizers"][0] == kFinalizer;
    }
    return FakeEndpoint::Fate::kServe;
  };
  world().Account("spoke");
  EXPECT_THAT(world().Writes(),
              ElementsAre(HasSubstr("PATCH /apis/fairlead.dev/v1alpha1/namespaces/fairlead/"
                                    "clusteraccounts/spoke?")));
  EXPECT_EQ(Live()["status"]["observedGeneration"], -1) << "nothing was looked at yet";
  world().Account("spoke");
  EXPECT_THAT(servers_.endpoint.writes(), ElementsAre("PUT /v1/accounts/spoke"));
  EXPECT_TRUE(stored_first);
}

TEST_F(AccountControllerTest, ADeletingObjectNeverGetsAFinalizerAndNothingIsDoneForIt) {
  Edit([](Json::Value* live) { (*live)["metadata"]["finalizers"].append("somebody.else/x"); });
  world().On([&] { servers_.hub.Remove("clusteraccounts", kSpace, "spoke"); });
  Visit();
  EXPECT_THAT(world().Writes(), IsEmpty());
}

TEST_F(AccountControllerTest, NobodyElsesFinalizerIsLost) {
  Edit([](Json::Value* live) { (*live)["metadata"]["finalizers"].append("a.example/x"); });
  Visit();
  Edit([](Json::Value* live) { (*live)["metadata"]["finalizers"].append("b.example/y"); });
  EXPECT_EQ(Live()["metadata"]["finalizers"],
            J(R"(["a.example/x",")" + std::string(kFinalizer) + R"(","b.example/y"])"));
  world().On([&] { servers_.hub.Remove("clusteraccounts", kSpace, "spoke"); });
  Visit();
  EXPECT_EQ(Live()["metadata"]["finalizers"], J(R"(["a.example/x","b.example/y"])"));
  EXPECT_THAT(servers_.endpoint.accounts(), IsEmpty());
}

TEST_F(AccountControllerTest, StatusGoesToItsSubresourceAndOnlyWhenItDiffers) {
  Visit();
  const std::string status =
      "PATCH /apis/fairlead.dev/v1alpha1/namespaces/fairlead/clusteraccounts/spoke/status"
      "?fieldManager=fairlead-account&force=true";
  EXPECT_THAT(world().Writes(), ElementsAre("PUT /v1/accounts/spoke", HasSubstr("spoke?"), status));
  world().ClearWrites();
  for (int i = 0; i < 100; ++i) {
    servers_.clock.Advance(base::seconds(1));
    world().Account("spoke");
  }
  EXPECT_THAT(world().Writes(), IsEmpty());
}

TEST_F(AccountControllerTest, TransitionTimesMoveWithTheStatusAndWithNothingElse) {
  Visit();
  const std::string first = Times();
  servers_.clock.Advance(base::minutes(5));
  Edit([](Json::Value* live) { (*live)["spec"]["environment"] = "prod"; });
  Visit();
  EXPECT_EQ(Live()["status"]["observedGeneration"], 2);
  EXPECT_EQ(Times(), first) << "a new generation flips nothing";
  Edit([](Json::Value* live) { (*live)["spec"]["endpointName"] = "other"; });
  Visit();
  EXPECT_EQ(Ready(), "False/EndpointUnknown");
  const std::string flipped = Times();
  EXPECT_NE(flipped, first);
  servers_.clock.Advance(base::minutes(5));
  Edit([](Json::Value* live) { (*live)["spec"]["endpointName"] = "third"; });
  Visit();
  EXPECT_EQ(Times(), flipped) << "another message is no transition";
}

TEST_F(AccountControllerTest, APausedOrInvalidAccountIsStillObserved) {
  Visit();
  Edit([](Json::Value* live) { (*live)["spec"]["paused"] = true; });
  Visit();
  EXPECT_EQ(Condition("Paused"), "True/Paused");
  EXPECT_EQ(Live()["status"]["observedGeneration"], 2);
  Edit([](Json::Value* live) { (*live)["spec"]["connection"] = Json::objectValue; });
  Visit();
  EXPECT_EQ(Condition("Stalled"), "True/InvalidSpec");
  EXPECT_EQ(Condition("Reconciling"), "False/InvalidSpec");
  EXPECT_EQ(Live()["status"]["observedGeneration"], 3);
}

TEST_F(AccountControllerTest, AnInvalidSpecIsNotRetriedBeforeItChanges) {
  Edit([](Json::Value* live) { (*live)["spec"]["connection"] = Json::objectValue; });
  world().Account("spoke");
  EXPECT_EQ(world().Account("spoke").outcome, Outcome::kRefused);
  EXPECT_THAT(servers_.endpoint.writes(), IsEmpty());
}

TEST_F(AccountControllerTest, AClusterThatIsNotThePinnedOneIsStalledAndNotRegisteredAnew) {
  Visit();
  Edit([](Json::Value* live) { (*live)["status"]["clusterUID"] = "another"; });
  world().ClearWrites();
  Visit();
  EXPECT_EQ(Condition("Stalled"), "True/ClusterChanged");
  EXPECT_EQ(Live()["status"]["clusterUID"], "another") << "the pin stays";
  EXPECT_THAT(servers_.endpoint.writes(), IsEmpty());
}

TEST_F(AccountControllerTest, AKubeconfigThatLeadsToTheHubIsRefused) {
  world().On([&] {
    servers_.spoke.Edit("namespaces", "", "kube-system",
                        [](Json::Value* live) { (*live)["metadata"]["uid"] = "hub-uid-1"; });
  });
  Visit();
  EXPECT_EQ(Condition("Stalled"), "True/CredentialInvalid");
  EXPECT_THAT(servers_.endpoint.writes(), IsEmpty());
}

TEST_F(AccountControllerTest, HostileKubeconfigsAreRefusedAndNobodyIsDialled) {
  const std::pair<std::string, const char*> table[] = {
      {Kubeconfig("https://10.1.2.3:6443", "", ", exec: {command: /bin/sh}"), "exec"},
      {Kubeconfig("https://10.1.2.3:6443", "", ", auth-provider: {name: x}"), "auth-provider"},
      {Kubeconfig("https://10.1.2.3:6443", "", ", tokenFile: /var/run/token"), "tokenFile"},
      {Kubeconfig("https://10.1.2.3:6443", ", certificate-authority: /ca.crt"),
       "certificate-authority"},
      {Kubeconfig("https://10.1.2.3:6443", ", insecure-skip-tls-verify: true"), "insecure"},
      {Kubeconfig("https://10.1.2.3:6443", ", proxy-url: 'http://10.9.9.9'"), "proxy-url"},
      {Kubeconfig("http://10.1.2.3:6443"), "https"},
      {Kubeconfig("https://127.0.0.1:6443"), "loopback"},
      {Kubeconfig("https://169.254.169.254"), "link-local"},
      {Kubeconfig("https://[::1]:6443"), "loopback"},
      {Kubeconfig("https://0x7f.1:6443"), "loopback"},
  };
  for (const auto& [text, expected] : table) {
    world().On([&] {
      servers_.hub.Edit("secrets", kSpace, "spoke-kubeconfig", [&](Json::Value* live) {
        (*live)["data"]["value"] = absl::Base64Escape(text);
      });
    });
    Visit();
    EXPECT_EQ(Ready(), "False/CredentialInvalid") << expected;
    const std::string status = json::WriteJson(Live()["status"]);
    EXPECT_THAT(status, HasSubstr(expected));
    EXPECT_THAT(status, Not(HasSubstr("canary-token")));
  }
  EXPECT_THAT(world().dialled, IsEmpty());
  EXPECT_THAT(servers_.endpoint.writes(), IsEmpty());
}

TEST_F(AccountControllerTest, AMissingSecretIsAConditionAndRetried) {
  world().On([&] { servers_.hub.Remove("secrets", kSpace, "spoke-kubeconfig"); });
  world().Account("spoke");
  EXPECT_EQ(world().Account("spoke").outcome, Outcome::kRetry);
  world().Settle();
  EXPECT_EQ(Ready(), "False/CredentialNotFound");
}

TEST_F(AccountControllerTest, AnAccountMadeAgainTakesItsRegistrationOver) {
  Visit();
  const Json::Value first = Live()["metadata"]["uid"];
  world().On([&] {
    servers_.hub.Lose("clusteraccounts", kSpace, "spoke");
    PutAccount(&servers_);  // a new uid, generation 1 again
  });
  world_.reset();
  Visit();
  EXPECT_EQ(Ready(), "True/Registered");
  const Json::Value body = servers_.endpoint.accounts()["spoke"].body;
  EXPECT_EQ(body["ownerUid"], Live()["metadata"]["uid"]);
  EXPECT_NE(body["ownerUid"], first);
  EXPECT_EQ(body["previousOwnerUid"], first);
}

TEST_F(AccountControllerTest, ANameThatBelongsToAnotherIsStalledAndLeftAlone) {
  servers_.endpoint.Own("spoke", "hub-uid-1/other/first");
  Visit();
  EXPECT_EQ(Condition("Stalled"), "True/AccountNameTaken");
  world().On([&] { servers_.hub.Remove("clusteraccounts", kSpace, "spoke"); });
  Visit();
  EXPECT_TRUE(Live().isNull()) << "its own deletion ends";
  EXPECT_TRUE(servers_.endpoint.accounts().contains("spoke")) << "the other one's stays";
}

TEST_F(AccountControllerTest, WithoutLeadershipNothingIsWrittenAnywhere) {
  Visit();
  world().ClearWrites();
  servers_.leading = false;
  Edit([](Json::Value* live) { (*live)["spec"]["environment"] = "prod"; });
  EXPECT_EQ(world().Account("spoke").outcome, Outcome::kRetry);
  world().On([&] { servers_.hub.Remove("clusteraccounts", kSpace, "spoke"); });
  Visit();
  EXPECT_THAT(world().Writes(), IsEmpty());
}

TEST_F(AccountControllerTest, ADeletedAccountWaitsForItsEndpointAndGivesUpInTheEnd) {
  Visit();
  servers_.endpoint.script = [](const std::string&) { return FakeEndpoint::Fate::kLost; };
  world().On([&] { servers_.hub.Remove("clusteraccounts", kSpace, "spoke"); });
  Visit();
  EXPECT_EQ(Condition("Deleting"), "True/RemovalBlocked");
  servers_.clock.Advance(base::seconds(3601));
  Visit();
  EXPECT_TRUE(Live().isNull());
}

}  // namespace
}  // namespace fairlead::op
