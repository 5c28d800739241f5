#include "operator/controllers/account_controller.h"

#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/log/log.h"
#include "operator/controllers/event_reasons.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr base::Duration kProbeAgain = base::minutes(10);
constexpr base::Duration kBlockedAgain = base::seconds(15);

std::string Text(const absl::Status& status) { return std::string(base::View(status.message())); }

absl::StatusOr<std::string> RegistrySpec(const api::ClusterAccount& account,
                                         const std::string& identity) {
  Json::Value spec;
  if (!account.environment.empty()) spec["environment"] = account.environment;
  spec["identities"].append(identity);
  if (!account.cluster_uid.empty()) spec["pinnedClusterUid"] = account.cluster_uid;
  spec["access"]["level"] = account.access.cluster_level ? "Cluster" : "Namespaces";
  for (const std::string& one : account.access.namespaces) spec["access"]["namespaces"].append(one);
  const std::pair<const char*, const std::string*> parts[] = {
      {"scope", &account.scope_json},
      {"permissions", &account.permissions_json},
      {"deletionProtection", &account.protection_json}};
  for (const auto& [key, text] : parts) {
    if (text->empty()) continue;
    FAIRLEAD_ASSIGN_OR_RETURN(spec[key], json::ParseJson(*text));
  }
  if (account.paused) spec["paused"] = true;
  return json::WriteJson(spec);
}

}  // namespace

struct AccountController::Visit {
  Visit(const Json::Value& from, const absl::Status& parsed, const api::ClusterAccount& account,
        int64_t now_ms)
      : live(from),
        refused(parsed),
        account(account),
        now_ms(now_ms),
        conditions(account.conditions, account.meta.generation, Rfc3339(now_ms)) {}
  const Json::Value& live;
  absl::Status refused;
  api::ClusterAccount account;
  int64_t now_ms;
  ConditionSet conditions;
  EndpointClient* endpoint = nullptr;
  std::string account_uid;
  bool retry = false;
};

ReconcileResult AccountController::Reconcile(const Key& key) {
  const Informer::Object object = context_->Account(key);
  if (!object) return {};
  api::ClusterAccount account;
  const absl::Status parsed = ParseClusterAccount(*object, &account);
  Visit visit(*object, parsed, account, context_->clock->WallMs());
  if (account.meta.deleting) return Delete(&visit);
  if (!account.meta.HasFinalizer(kFinalizer)) {
    // Before anything is claimed or written elsewhere; what comes of it wakes us again.
    const absl::Status added = AddFinalizer(context_->hub.get(), AccountType(), *object);
    if (!added.ok()) log::Info("finalizer not added", {{"account", key.name}, {"error", added}});
    return {added.ok() ? Outcome::kDone : Outcome::kRetry, std::nullopt};
  }
  if (CheckSpec(&visit) && ProbeCluster(&visit) && Register(&visit)) {
    visit.conditions.SetReady(kReasonRegistered, "");
  }
  Look(&visit);
  return Finish(&visit);
}

bool AccountController::CheckSpec(Visit* visit) {
  if (!visit->refused.ok()) {
    visit->conditions.SetStalled(kReasonInvalidSpec, Text(visit->refused));
    return false;
  }
  const auto endpoint = context_->endpoints.find(visit->account.endpoint_name);
  if (endpoint == context_->endpoints.end()) {
    visit->conditions.SetStalled(
        kReasonEndpointUnknown,
        StrCat("spec.endpointName: the operator's configuration has no endpoint \"",
               visit->account.endpoint_name, "\""));
    return false;
  }
  visit->endpoint = endpoint->second.get();
  if (visit->account.access.has_assume) {
    visit->conditions.SetStalled(kReasonNotSupported,
                                 "spec.access.assume: not supported by this version yet");
    return false;
  }
  return true;
}

// The kubeconfig is usable and leads to the cluster it led to before.
bool AccountController::ProbeCluster(Visit* visit) {
  if (visit->account.connection.kind == api::Connection::Kind::kDialIn) return true;
  const auto cluster = context_->clusters->For(visit->account);
  if (!cluster.ok()) {
    visit->conditions.SetProgressing(ReasonOf(cluster.status()), Text(cluster.status()));
    visit->retry = true;
    return false;
  }
  const auto uid = ClusterUid(cluster->get());
  const kube::ApiAnswer version = (*cluster)->GetPath("/version");
  if (!uid.ok() || version.error) {
    visit->conditions.SetProgressing(
        kReasonClusterUnreachable, uid.ok() ? kube::Describe(*version.error) : Text(uid.status()));
    visit->retry = true;
    return false;
  }
  if (const absl::Status pinned = CheckPin(*uid, visit->account); !pinned.ok()) {
    visit->conditions.SetStalled(
        kReasonClusterChanged,
        StrCat(Text(pinned), ". Make a new ClusterAccount for the new cluster"));
    return false;
  }
  if (*uid == context_->hub_id &&
      visit->account.connection.kind == api::Connection::Kind::kKubeconfig) {
    visit->conditions.SetStalled(
        kReasonCredentialInvalid,
        "spec.connection.kubeconfig leads to the operator's own cluster; use inCluster for it");
    return false;
  }
  visit->account.cluster_uid = *uid;
  if (const auto info = json::ParseJson(version.body); info.ok() && info->isObject()) {
    visit->account.kubernetes_version = (*info)["gitVersion"].asString();
  }
  return true;
}

bool AccountController::Register(Visit* visit) {
  AccountRegistration registration;
  registration.name = visit->account.account_name;
  registration.owner = context_->OwnerOf(visit->account.meta);
  registration.owner_uid = visit->account.meta.uid;
  registration.generation = visit->account.meta.generation;
  const auto spec = RegistrySpec(visit->account, context_->IdentityOf(visit->account));
  if (!spec.ok()) {
    visit->conditions.SetStalled(kReasonRegistrationRefused, Text(spec.status()));
    return false;
  }
  registration.spec_json = *spec;
  const auto put = visit->endpoint->Put(registration);
  if (put.ok()) {
    visit->account_uid = put->uid;
    return true;
  }
  if (absl::IsAlreadyExists(put.status())) {
    visit->conditions.SetStalled(kReasonAccountNameTaken, Text(put.status()));
  } else if (absl::IsInvalidArgument(put.status()) || absl::IsFailedPrecondition(put.status())) {
    visit->conditions.SetStalled(kReasonRegistrationRefused, Text(put.status()));
  } else {
    visit->conditions.SetProgressing(kReasonEndpointUnreachable, Text(put.status()));
    visit->retry = true;
  }
  return false;
}

void AccountController::Look(Visit* visit) {
  if (visit->account.paused) {
    visit->conditions.Set(kPaused, "True", kReasonPaused, "spec.paused is set: nothing new starts");
  } else {
    visit->conditions.Set(kPaused, "False", kReasonNotPaused, "");
  }
  const auto live = context_->fleet->Get(visit->account.endpoint_name, visit->account.account_name);
  // A name that belongs to somebody else has somebody else's agent.
  const bool ours = visit->conditions.IsTrue(kReady) || !visit->account.account_uid.empty();
  if (!live) return;
  if (ours && live->connected) {
    visit->conditions.Set(kConnected, "True", kReasonAgentConnected, "");
  } else {
    visit->conditions.Set(kConnected, "False", kReasonNoAgent, "no agent serves the account");
  }
  if (ours && live->connected && live->synced && !live->refused.empty()) {
    visit->conditions.Set(kSynced, "False", kReasonObjectsRefused, live->refused);
  } else if (ours && live->connected && live->synced) {
    visit->conditions.Set(kSynced, "True", kReasonSynced, "");
  } else {
    visit->conditions.Set(kSynced, "False", live->connected ? kReasonSyncing : kReasonNoAgent, "");
  }
}

ReconcileResult AccountController::Finish(Visit* visit) {
  Json::Value status;
  status["observedGeneration"] = Json::Int64(visit->account.meta.generation);
  for (const api::Condition& one : visit->conditions.all()) {
    status["conditions"].append(ConditionToJson(one));
  }
  status["accountName"] = visit->account.account_name;
  const std::string uid =
      visit->account_uid.empty() ? visit->account.account_uid : visit->account_uid;
  if (!uid.empty()) status["accountUID"] = uid;
  if (!visit->account.cluster_uid.empty()) status["clusterUID"] = visit->account.cluster_uid;
  if (!visit->account.kubernetes_version.empty()) {
    status["kubernetesVersion"] = visit->account.kubernetes_version;
  }
  const absl::Status written =
      WriteStatus(context_->hub.get(), AccountType(), visit->live, status, kAccountManager);
  if (absl::IsAborted(written)) return {Outcome::kRetry, std::nullopt};  // an everyday race
  if (!written.ok()) {
    log::Warn("status not written", {{"account", visit->account.meta.name}, {"error", written}});
    return {Outcome::kRetry, std::nullopt};
  }
  context_->TellTransitions("ClusterAccount", visit->account.meta, visit->conditions);
  for (const api::Condition& one : visit->conditions.Transitions()) {
    log::Info("condition", {{"kind", "ClusterAccount"},
                            {"namespace", visit->account.meta.name_space},
                            {"name", visit->account.meta.name},
                            {"type", one.type},
                            {"status", one.status},
                            {"reason", one.reason},
                            {"message", one.message}});
  }
  if (visit->conditions.IsTrue(kStalled)) return {Outcome::kRefused, kProbeAgain};
  return {visit->retry ? Outcome::kRetry : Outcome::kDone, kProbeAgain};
}

// Registry first (identity and sessions end), then what is in the cluster, then the finalizer.
ReconcileResult AccountController::Delete(Visit* visit) {
  if (!visit->account.meta.HasFinalizer(kFinalizer)) return {};
  const auto withdrawn = Withdraw(visit);
  if (!withdrawn.ok()) return Blocked(visit, Text(withdrawn.status()));
  if (!*withdrawn) return {Outcome::kDone, base::Duration(base::seconds(1))};
  const absl::Status removed = RemoveFinalizer(context_->hub.get(), AccountType(), visit->live);
  if (!removed.ok()) return {Outcome::kRetry, std::nullopt};
  context_->clusters->Forget(visit->account.meta.uid);
  log::Info("account removed", {{"account", visit->account.account_name}});
  return {};
}

absl::StatusOr<bool> AccountController::Withdraw(Visit* visit) {
  const int64_t since = ParseRfc3339(visit->account.meta.deletion_timestamp);
  const bool give_up = visit->now_ms / 1000 - since > visit->account.abandon_after_seconds;
  if (const auto found = context_->endpoints.find(visit->account.endpoint_name);
      found != context_->endpoints.end()) {
    const absl::Status deleted =
        found->second->Delete(visit->account.account_name, context_->OwnerOf(visit->account.meta));
    if (!deleted.ok() && !give_up) return base::WithContext(deleted, "endpoint");
  }
  if (visit->account.agent.uid.empty()) return true;
  const auto holder = context_->Holder(visit->account);
  if (holder && holder->orphan_on_delete) return true;
  const std::string target = holder ? holder->target_namespace : "fairlead-agent";
  const base::MutexLock lock = context_->locks.Lock(visit->account.meta.uid);
  const auto gone = installer_->Remove(visit->account, visit->account.agent.uid, target);
  if (!gone.ok() && give_up) {
    log::Warn("agent abandoned", {{"account", visit->account.account_name},
                                  {"afterSeconds", visit->account.abandon_after_seconds},
                                  {"error", gone.status()}});
    context_->Tell("ClusterAccount", visit->account.meta, true, kEventAgentAbandoned, "Remove",
                   Text(gone.status()));
    return true;
  }
  return gone;
}

ReconcileResult AccountController::Blocked(Visit* visit, const std::string& why) {
  visit->conditions.Set(kDeleting, "True", kReasonRemovalBlocked, why);
  visit->conditions.SetProgressing(kReasonRemoving, why);
  Finish(visit);
  return {Outcome::kDone, kBlockedAgain};
}

}  // namespace fairlead::op
