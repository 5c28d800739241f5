#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/v1alpha1/types.h"
#include "lib/base/mutex.h"
#include "operator/config/config.h"
#include "operator/controllers/certificates.h"
#include "operator/controllers/cluster_pool.h"
#include "operator/controllers/endpoint_client.h"
#include "operator/controllers/fleet_view.h"
#include "operator/model/conditions.h"
#include "operator/runtime/cluster_client.h"
#include "operator/runtime/event_series.h"
#include "operator/runtime/informer.h"

namespace fairlead::op {

// What the installer last saw of an account's agent in its cluster. Kept in memory: after a restart
// each cluster is visited once before anything is decided.
struct Observation {
  bool reached = false;
  std::string installed_revision;
  bool available = false;
  bool failed = false;  // `reason` and `problem` say why
  std::string reason;
  std::string problem;
  friend bool operator==(const Observation&, const Observation&) = default;
};

class Observations {
 public:
  // True when it says something new.
  bool Set(const std::string& account_uid, const Observation& observation);
  [[nodiscard]] std::optional<Observation> Get(const std::string& account_uid) const;
  void Forget(const std::string& account_uid);

 private:
  mutable base::Mutex mutex_;
  std::map<std::string, Observation> all_;
};

// One holder at a time of what concerns one account: its installation and its removal.
class AccountLocks {
 public:
  base::MutexLock Lock(const std::string& account_uid) {
    return base::MutexLock(locks_[std::hash<std::string>{}(account_uid) % locks_.size()]);
  }

 private:
  std::array<base::Mutex, 256> locks_;
};

// The deployment's refs or selector name the account.
bool Selected(const api::AgentDeployment& deployment, const api::ClusterAccount& account);

// What the controllers share. Filled by main before they start, constant afterwards.
struct Context {
  const Config* config = nullptr;
  const base::Clock* clock = &base::Clock::Real();
  std::shared_ptr<ClusterClient> hub;
  std::string hub_id;
  std::map<std::string, std::unique_ptr<Informer>> accounts;     // by namespace
  std::map<std::string, std::unique_ptr<Informer>> deployments;  // by namespace
  std::map<std::string, std::unique_ptr<EndpointClient>> endpoints;
  std::unique_ptr<Certificates> certificates;
  std::unique_ptr<FleetView> fleet;
  std::unique_ptr<ClusterPool> clusters;
  Observations observations;
  AccountLocks locks;
  // Tells people of a change; never waits.
  std::function<void(const Event&)> record = [](const Event&) {};
  std::function<void(const Key&)> wake_account;
  std::function<void(const Key&)> wake_installer;
  std::function<void(const Key&)> wake_deployment;

  // `kind` of this API's group.
  void Tell(const char* kind, const api::ObjectMeta& of, bool warning, const std::string& reason,
            const std::string& action, const std::string& note) const;
  // The changes of Ready, Connected and Deleting in one visit that has been written.
  void TellTransitions(const char* kind, const api::ObjectMeta& of,
                       const ConditionSet& conditions) const;

  [[nodiscard]] Informer::Object Account(const Key& key) const;
  [[nodiscard]] Informer::Object Deployment(const Key& key) const;
  // Parsed, those that cannot be read left out.
  [[nodiscard]] std::vector<api::ClusterAccount> AccountsOf(const std::string& name_space) const;
  [[nodiscard]] std::optional<api::AgentDeployment> Holder(
      const api::ClusterAccount& account) const;
  [[nodiscard]] std::string OwnerOf(const api::ObjectMeta& meta) const;  // at the registry
  [[nodiscard]] std::string IdentityOf(const api::ClusterAccount& account) const;
};

}  // namespace fairlead::op
