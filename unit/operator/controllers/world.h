#pragma once

#include <gtest/gtest.h>
#include <json/value.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "lib/json/dom.h"
#include "lib/net/x509.h"
#include "operator/controllers/account_controller.h"
#include "operator/controllers/deployment_controller.h"
#include "operator/controllers/installer.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"
#include "unit/fakes/fake_hub.h"
#include "unit/operator/controllers/fake_endpoint.h"
#include "unit/operator/runtime/fake_clusters.h"

namespace fairlead::op {

inline constexpr char kSpace[] = "fairlead";

inline Json::Value J(const std::string& text) { return json::ParseJson(text).value(); }

// A kubeconfig that is harmless; `cluster` and `user` add lines to them.
inline std::string Kubeconfig(const std::string& server = "https://10.1.2.3:6443",
                              const std::string& cluster = "", const std::string& user = "") {
  return base::StrCat(
      "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
      "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
      "clusters: [{name: c, cluster: {server: '",
      server, "'", cluster, "}}]\nusers: [{name: u, user: {token: canary-token", user, "}}]\n");
}

// A hub, a spoke and an endpoint that outlive operators, as the real ones do.
struct Servers {
  fakes::FakeHub hub{"hub"};
  fakes::FakeHub spoke{"spoke"};
  FakeEndpoint endpoint;
  base::ManualClock clock;
  std::atomic<bool> leading{true};
  ClusterPool::Resolve resolve = ResolveHost;
  base::Duration pause{};  // of a client whose call got no answer; for operators made from then on
};

// One operator process over Servers, without its queues: a test calls the reconcilers, on its own
// thread, in the order it wants. The fakes are touched on the loop only (On).
class World {
 public:
  explicit World(Servers* servers) : servers_(servers) {
    ClusterClient::Options options = FakeClusters::Options();
    options.may_write = [this] { return servers_->leading.load(); };
    options.clock = &servers_->clock;
    options.pause_after_failure = servers_->pause;
    const auto reach = [this, options](fakes::FakeHub* server, const char* name) {
      return clusters_.Reach(server, name, options);
    };
    config_.endpoints.push_back({"default", "endpoint", {"10.0.0.1:9443"}, "https://endpoint"});
    config_.profiles.push_back({"read", "fairlead:agent:read", {}});
    config_.profiles.push_back({"deploy", "fairlead:agent:deploy", {}});
    config_.certificates = {kSpace, "fairlead-ca", "fairlead-endpoint-tls", {"endpoint"}, {}};
    config_.agent_image = {"r", "agent", "1", "", "IfNotPresent"};
    context.config = &config_;
    context.clock = &servers_->clock;
    context.hub = reach(&servers_->hub, "hub");
    context.hub_id = "hub-uid-1";
    context.clusters = std::make_unique<ClusterPool>(
        context.hub,
        [this, reach](const kube::ClusterAccess& access) {
          dialled.push_back(access);
          return reach(&servers_->spoke, "spoke");
        },
        [this](const std::string& host) { return servers_->resolve(host); }, &servers_->clock);
    context.endpoints["default"] = std::make_unique<EndpointClient>(
        [this] { return servers_->endpoint.Connect(); }, options.may_write);
    context.fleet = std::make_unique<FleetView>(
        std::map<std::string, EndpointClient*>{{"default", context.endpoints["default"].get()}},
        [](const std::string&) {}, &servers_->clock);
    context.wake_account = context.wake_installer = context.wake_deployment = [](const Key&) {};
    context.record = [this](const Event& event) {
      events.push_back(base::StrCat(event.regarding.kind, "/", event.reason));
      EXPECT_EQ(event.note.find("canary"), std::string::npos) << event.note;
      EXPECT_FALSE(event.warning && event.reason == kReasonRollingOut) << "nothing is wrong";
    };
    Watch(AccountType(), &context.accounts);
    Watch(DeploymentType(), &context.deployments);
    context.certificates = std::make_unique<Certificates>(config_, context.hub.get());
    // Its reads and writes are not what the tests are about.
    prepared = context.certificates->Ensure();
    Settle();
  }

  ~World() {
    On([&] {
      for (auto* all : {&context.accounts, &context.deployments}) {
        for (auto& [space, informer] : *all) informer->Stop();
        all->clear();
      }
    });
    context.clusters.reset();
    context.hub.reset();
  }

  // Runs `work` on the loop and waits for it.
  void On(const std::function<void()>& work) { clusters_.On(work); }
  // What the servers sent is with the informers afterwards.
  void Settle() { clusters_.Settle(); }

  ReconcileResult Account(const std::string& name) {
    Settle();
    return accounts_.Reconcile({kSpace, name});
  }
  ReconcileResult Deployment(const std::string& name) {
    Settle();
    return deployments_.Reconcile({kSpace, name});
  }
  ReconcileResult Install(const std::string& name) {
    Settle();
    return installer.Reconcile({kSpace, name});
  }

  // Everything is reconciled once, as at a resync.
  void Round() {
    std::vector<std::string> accounts, deployments;
    On([&] {
      for (const auto& one : servers_->hub.List("clusteraccounts")) accounts.push_back(NameOf(one));
      for (const auto& one : servers_->hub.List("agentdeployments")) {
        deployments.push_back(NameOf(one));
      }
    });
    context.fleet->Poll();
    for (const auto& one : accounts) Account(one);
    for (const auto& one : deployments) Deployment(one);
    for (const auto& one : accounts) Install(one);
    Settle();
  }

  // What kubelets, controllers and agents do: pods come up, the agent enrols and serves.
  void RunAgents(fakes::FakeHub* cluster, const std::string& account) {
    On([&] {
      std::string revision;
      for (const Json::Value& one : cluster->List("deployments")) {
        cluster->Edit(
            "deployments", one["metadata"]["namespace"].asString(), NameOf(one),
            [&](Json::Value* live) {
              const int replicas = (*live)["spec"]["replicas"].asInt();
              Json::Value& status = (*live)["status"];
              status["observedGeneration"] = (*live)["metadata"]["generation"];
              for (const char* key : {"replicas", "updatedReplicas", "availableReplicas"}) {
                status[key] = replicas;
              }
            });
        revision = one["metadata"]["annotations"][kRevisionAnnotation].asString();
        const std::string secret = NameOf(one) + "-identity";
        if (cluster->Get("secrets", "fairlead-agent", secret).isNull()) continue;
        cluster->Edit("secrets", "fairlead-agent", secret, [](Json::Value* live) {
          (*live)["data"]["tls.crt"] = absl::Base64Escape(Certificate());
        });
      }
      servers_->endpoint.Serve(account, revision);
    });
  }

  [[nodiscard]] Json::Value Hub(const std::string& resource, const std::string& name,
                                const std::string& space = kSpace) {
    Json::Value out;
    On([&] { out = servers_->hub.Get(resource, space, name); });
    return out;
  }
  // Status of condition `type` of an object and its reason: "True/Registered".
  [[nodiscard]] std::string Condition(const std::string& resource, const std::string& name,
                                      const std::string& type) {
    const Json::Value object = Hub(resource, name);
    for (const Json::Value& one : object["status"]["conditions"]) {
      if (one["type"] == type) return one["status"].asString() + "/" + one["reason"].asString();
    }
    return "";
  }
  std::vector<std::string> Writes() {
    std::vector<std::string> out = servers_->endpoint.writes();
    On([&] {
      for (const fakes::FakeHub* one : {&servers_->hub, &servers_->spoke}) {
        for (const std::string& write : one->writes()) out.push_back(write);
      }
    });
    return out;
  }
  void ClearWrites() {
    servers_->endpoint.ClearWrites();
    On([&] {
      servers_->hub.ClearRequests();
      servers_->spoke.ClearRequests();
    });
  }

  static std::string NameOf(const Json::Value& object) {
    return object["metadata"]["name"].asString();
  }

  Context context;
  std::vector<kube::ClusterAccess> dialled;
  absl::Status prepared;
  std::vector<std::string> events;  // "kind/reason"

 private:
  void Watch(const kube::ResourceType& type,
             std::map<std::string, std::unique_ptr<Informer>>* informers) {
    On([&] {
      auto& informer = (*informers)[kSpace];
      informer = std::make_unique<Informer>(type, kSpace, context.hub->api(), clusters_.loop(),
                                            [](const Key&) {});
      informer->Start();
    });
  }

  static const std::string& Certificate() {
    static const std::string made =
        net::SelfSigned({.common_name = "agent", .lifetime_seconds = 86400})->certificate_pem;
    return made;
  }

  Servers* servers_;
  Config config_;
  FakeClusters clusters_;
  Installer installer{&context};
  AccountController accounts_{&context, &installer};
  DeploymentController deployments_{&context, &installer};
};

// What users write.
inline void PutAccount(Servers* servers, const std::string& name = "spoke",
                       const std::string& spec = "") {
  Json::Value account = J(R"({"apiVersion":"fairlead.dev/v1alpha1","kind":"ClusterAccount"})");
  account["metadata"]["name"] = name;
  account["metadata"]["namespace"] = kSpace;
  account["metadata"]["labels"]["env"] = "test";
  account["spec"] = J(spec.empty() ? R"({"connection":{"kubeconfig":{"purpose":"Install",
    "secretRef":{"name":"spoke-kubeconfig"}}},"access":{"profile":"read","level":"Cluster"},
    "permissions":{"mode":"Unrestricted"}})"
                                   : spec);
  servers->hub.Put(account, "clusteraccounts");
}

inline void PutKubeconfig(Servers* servers, const std::string& text = Kubeconfig()) {
  Json::Value secret = J(R"({"apiVersion":"v1","kind":"Secret"})");
  secret["metadata"]["name"] = "spoke-kubeconfig";
  secret["metadata"]["namespace"] = kSpace;
  secret["data"]["value"] = absl::Base64Escape(text);
  servers->hub.Put(secret, "secrets");
}

inline void PutDeployment(Servers* servers, const std::string& name = "agents",
                          const std::string& spec = "") {
  Json::Value deployment = J(R"({"apiVersion":"fairlead.dev/v1alpha1","kind":"AgentDeployment"})");
  deployment["metadata"]["name"] = name;
  deployment["metadata"]["namespace"] = kSpace;
  deployment["spec"] =
      J(spec.empty() ? R"({"mode":"Agent","accounts":{"selector":{"matchLabels":{"env":"test"}}}})"
                     : spec);
  servers->hub.Put(deployment, "agentdeployments");
}

}  // namespace fairlead::op
