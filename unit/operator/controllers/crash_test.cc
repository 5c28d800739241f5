// The operator dies at every one of its writes in turn, before it and after it; a new one always
// gets to the same end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "unit/operator/controllers/world.h"

namespace fairlead::op {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Matcher;
using ::testing::Not;
using ::testing::StartsWith;

// Lets `writes` mutating requests through, whoever they go to, and then none: the process is dead.
class Fuse {
 public:
  Fuse(Servers* servers, int writes, bool took_effect)
      : servers_(servers), left_(writes), took_effect_(took_effect) {
    for (fakes::FakeHub* one : {&servers->hub, &servers->spoke}) {
      one->set_script([this](const net::HttpRequest& request) {
        const auto fate = FateOf(request.method == "GET");
        return fakes::FakeHub::Fate{.lost = fate == FakeEndpoint::Fate::kLost,
                                    .answer_lost = fate == FakeEndpoint::Fate::kAnswerLost};
      });
    }
    servers->endpoint.script = [this](const std::string& request) {
      return FateOf(request.starts_with("GET"));
    };
  }
  void Remove() {
    servers_->hub.set_script(nullptr);
    servers_->spoke.set_script(nullptr);
    servers_->endpoint.script = nullptr;
  }
  [[nodiscard]] bool burnt() const { return dead_; }

 private:
  FakeEndpoint::Fate FateOf(bool read) {
    if (!dead_ && (read || left_-- > 0)) return FakeEndpoint::Fate::kServe;
    const bool last = !dead_.exchange(true);
    return last && took_effect_ ? FakeEndpoint::Fate::kAnswerLost : FakeEndpoint::Fate::kLost;
  }

  Servers* servers_;
  int left_;
  bool took_effect_;
  std::atomic<bool> dead_{false};
};

// An installed object without what no two runs have in common: what the server writes, and the
// values of Secrets (certificates and tokens are made anew), of which the names remain.
std::string ContentOf(Json::Value object) {
  object.removeMember("status");
  Json::Value& meta = object["metadata"];
  for (const char* name : {"uid", "resourceVersion", "creationTimestamp", "generation"}) {
    meta.removeMember(name);
  }
  if (object["kind"] == "Secret") {
    for (const std::string& name : object["data"].getMemberNames()) object["data"][name] = "value";
    meta["annotations"].removeMember(kIntentAnnotation);  // a hash of the values
    meta["annotations"].removeMember("fairlead.dev/token-expires");
  }
  return json::WriteJson(object);
}

std::string StateOf(const Servers& servers) {
  std::string out;
  for (const char* resource : {"deployments", "poddisruptionbudgets", "configmaps", "secrets",
                               "serviceaccounts", "roles", "rolebindings", "clusterrolebindings"}) {
    for (const Json::Value& one : servers.spoke.List(resource)) {
      out += base::StrCat(resource, "/", World::NameOf(one), " ", ContentOf(one), "\n");
    }
  }
  for (const char* resource : {"clusteraccounts", "agentdeployments"}) {
    for (const Json::Value& one : servers.hub.List(resource)) {
      out += base::StrCat(resource, "/", World::NameOf(one), " ",
                          json::WriteJson(one["metadata"]["finalizers"]), " ");
      for (const Json::Value& condition : one["status"]["conditions"]) {
        out += base::StrCat(condition["type"].asString(), "=", condition["status"].asString(), "/",
                            condition["reason"].asString(), " ");
      }
      out += one["status"]["agent"]["state"].asString() + "\n";
    }
  }
  for (const auto& [name, account] : servers.endpoint.accounts()) {
    out += base::StrCat("registered ", name, " ", account.body["owner"].asString(), "\n");
  }
  return out;
}

// Until a round writes nothing, twice, or the process is dead.
void Converge(Servers* servers, const Fuse* fuse) {
  World world(servers);
  int quiet = 0;
  for (int i = 0; i < 30 && quiet < 2 && !(fuse != nullptr && fuse->burnt()); ++i) {
    world.ClearWrites();
    servers->clock.Advance(base::seconds(61));  // longer than the grace of a lost agent
    world.Round();
    quiet = world.Writes().empty() ? quiet + 1 : 0;
    world.RunAgents(&servers->spoke, "spoke");
  }
  const bool dead = fuse != nullptr && fuse->burnt();
  EXPECT_TRUE(dead || quiet == 2) << "it writes without an end";
}

// Runs `change` and the operator over it, dying at the n-th write, for every n. What comes of it is
// always the same, and `end` describes it: that all get there is worth nothing if none gets far.
void ForEveryCrash(const std::function<void(Servers*)>& before,
                   const std::function<void(Servers*)>& change,
                   const Matcher<const std::string&>& end) {
  const auto run = [&](int writes, bool took_effect) {
    Servers servers;
    before(&servers);
    change(&servers);
    Fuse fuse(&servers, writes, took_effect);
    Converge(&servers, &fuse);
    const bool burnt = fuse.burnt();
    fuse.Remove();
    if (burnt) Converge(&servers, nullptr);
    return std::pair(burnt, StateOf(servers));
  };
  const auto [never, expected] = run(1000, false);
  ASSERT_FALSE(never);
  ASSERT_THAT(expected, end);
  for (const bool took_effect : {false, true}) {
    for (int writes = 0;; ++writes) {
      ASSERT_LT(writes, 200);
      const auto [burnt, state] = run(writes, took_effect);
      EXPECT_EQ(state, expected) << "died at write " << writes << (took_effect ? ", done" : "");
      if (!burnt) break;
    }
  }
}

void Wishes(Servers* servers) {
  PutKubeconfig(servers);
  PutAccount(servers);
  PutDeployment(servers);
}

void Running(Servers* servers) {
  Wishes(servers);
  Converge(servers, nullptr);
}

TEST(Crash, AnInstallationGetsToItsEndWhereverTheOperatorDies) {
  ForEveryCrash([](Servers*) {}, Wishes,
                AllOf(ContainsRegex("deployments/fairlead-agent-.*\"replicas\":2"),
                      HasSubstr("clusterrolebindings/fairlead-agent-"),
                      ContainsRegex("clusteraccounts/spoke .*Ready=True/Registered .* Succeeded"),
                      ContainsRegex("agentdeployments/agents .*Ready=True/AllServed"),
                      HasSubstr("registered spoke hub-uid-1/fairlead/spoke")));
}

TEST(Crash, AnAccountsRemovalGetsToItsEndWhereverTheOperatorDies) {
  ForEveryCrash(
      Running, [](Servers* servers) { servers->hub.Remove("clusteraccounts", kSpace, "spoke"); },
      AllOf(StartsWith("agentdeployments/agents "), HasSubstr("Ready=True/NoAccounts"),
            Not(HasSubstr("registered"))));
}

TEST(Crash, ADeploymentsRemovalGetsToItsEndWhereverTheOperatorDies) {
  ForEveryCrash(
      Running, [](Servers* servers) { servers->hub.Remove("agentdeployments", kSpace, "agents"); },
      AllOf(StartsWith("clusteraccounts/spoke "), HasSubstr("Connected=False/NoAgent"),
            HasSubstr("Ready=True/Registered"), Not(HasSubstr("agentdeployments/")),
            HasSubstr("registered spoke hub-uid-1/fairlead/spoke")));
}

}  // namespace
}  // namespace fairlead::op
