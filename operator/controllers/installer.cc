#include "operator/controllers/installer.h"

#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/log/log.h"
#include "lib/net/x509.h"
#include "operator/controllers/event_reasons.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr int64_t kTokenSeconds = 3600;
// A token that was not used for so long is taken for lost: its pod may have died with it.
constexpr int64_t kTokenPatienceSeconds = 180;
const kube::ResourceType kDeploymentType{"apps", "v1", "deployments", "Deployment", true};
const kube::ResourceType kRoleBinding{"rbac.authorization.k8s.io", "v1", "rolebindings",
                                      "RoleBinding", true};
const kube::ResourceType kClusterRoleBinding{"rbac.authorization.k8s.io", "v1",
                                             "clusterrolebindings", "ClusterRoleBinding", false};

const kube::ResourceType kDisruptionBudget{"policy", "v1", "poddisruptionbudgets",
                                           "PodDisruptionBudget", true};

std::string Decoded(const Json::Value& secret, const char* key) {
  std::string out;
  return absl::Base64Unescape(secret["data"][key].asString(), &out) ? out : "";
}

// Names of our bindings of one installation, wherever they are.
absl::StatusOr<std::vector<kube::ObjectName>> FindBindings(ClusterClient* cluster,
                                                           const Installation& installation) {
  std::vector<kube::ObjectName> out;
  for (const kube::ResourceType& type : {kRoleBinding, kClusterRoleBinding}) {
    const kube::ApiAnswer answer = cluster->GetPath(
        StrCat(kube::CollectionPath(type, ""), "?labelSelector=",
               net::PercentEncode(StrCat(kAgentLabel, "=", installation.Hash())), "&limit=1000"));
    if (answer.error) {
      return base::WithContext(kube::ToStatus(*answer.error), StrCat("list ", type.resource));
    }
    FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value list, json::ParseJson(answer.body));
    for (const Json::Value& item : list["items"]) {
      const Json::Value& meta = item["metadata"];
      if (meta["annotations"][kOwnerAnnotation] != installation.Owner()) continue;
      out.push_back({type, meta["namespace"].asString(), meta["name"].asString()});
    }
  }
  return out;
}

}  // namespace

struct Installer::Visit {
  api::ClusterAccount account;
  api::AgentDeployment deployment;
  std::shared_ptr<ClusterClient> cluster;
  RenderedAgent agent;
  Observation observation;
  bool certificate_there = false;

  [[nodiscard]] Installation installation(const Context& context) const {
    return {context.hub_id, deployment.meta.uid, account.meta.uid};
  }
};

RenderInput Installer::InputFor(const Visit& visit) const {
  RenderInput input;
  input.installation = visit.installation(*context_);
  input.account = &visit.account;
  input.deployment = &visit.deployment;
  input.default_image = context_->config->agent_image;
  if (!visit.account.access.profile.empty()) {
    input.profile = context_->config->FindProfile(visit.account.access.profile);
  }
  input.base = context_->config->FindProfile(kBaseProfile);
  if (const EndpointConfig* endpoint = context_->config->Endpoint(visit.account.endpoint_name)) {
    input.endpoint_addresses = endpoint->agent_addresses;
    input.endpoint_name = endpoint->dns_name;
  }
  input.identity = context_->IdentityOf(visit.account);
  return input;
}

absl::StatusOr<RenderedAgent> Installer::Render(const api::ClusterAccount& account,
                                                const api::AgentDeployment& deployment) const {
  Visit visit;
  visit.account = account;
  visit.deployment = deployment;
  return RenderAgent(InputFor(visit));
}

bool Installer::Begin(const Key& key, const std::string& uid, Visit* visit) const {
  const Informer::Object object = context_->Account(key);
  if (!object || !ParseClusterAccount(*object, &visit->account).ok()) return false;
  if (visit->account.meta.uid != uid || visit->account.meta.deleting) return false;
  const auto holder = context_->Holder(visit->account);
  // One that is not selected any more is its holder's to take away.
  if (!holder || holder->meta.deleting || !Selected(*holder, visit->account)) return false;
  visit->deployment = *holder;
  return true;
}

ReconcileResult Installer::Reconcile(const Key& key) {
  const Informer::Object object = context_->Account(key);
  if (!object) return {};
  const std::string uid = (*object)["metadata"]["uid"].asString();
  Visit visit;
  const Observation& seen = visit.observation;
  bool news = false;
  {
    // All that is decided from is read under the lock: who removes holds it, and what told it to is
    // in the cache before it does.
    const base::MutexLock lock = context_->locks.Lock(uid);
    if (!Begin(key, uid, &visit)) return {};
    if (visit.account.connection.kind == api::Connection::Kind::kDialIn) {
      visit.observation.reached = true;
    } else {
      Install(&visit);
    }
    news = context_->observations.Set(uid, seen);
  }
  if (news) context_->wake_deployment({key.name_space, visit.deployment.meta.name});
  if (visit.account.connection.kind == api::Connection::Kind::kDialIn) return {};
  if (seen.failed) {
    log::Warn("agent not installed", {{"account", visit.account.account_name},
                                      {"reason", seen.reason},
                                      {"error", seen.problem}});
    return {Outcome::kRetry, std::nullopt};
  }
  const bool arrived = seen.available && visit.certificate_there &&
                       seen.installed_revision == visit.account.agent.target_revision;
  const base::Duration drift = context_->config->drift_interval;
  const auto jitter =
      drift / 10 * static_cast<int>(std::hash<std::string>{}(visit.account.meta.uid) % 3);
  return {Outcome::kDone, arrived || visit.account.agent.target_revision.empty()
                              ? drift + jitter
                              : base::Duration(base::seconds(2))};
}

void Installer::Install(Visit* visit) {
  const auto fail = [visit](const char* reason, const absl::Status& why) {
    visit->observation.failed = true;
    visit->observation.reason = reason;
    visit->observation.problem = std::string(base::View(why.message()));
  };
  auto cluster = context_->clusters->For(visit->account);
  if (!cluster.ok()) return fail(ReasonOf(cluster.status()), cluster.status());
  visit->cluster = *std::move(cluster);
  // Before anything else is read or written: the Secret may lead elsewhere by now.
  if (const absl::Status pinned = CheckPin(visit->cluster.get(), visit->account); !pinned.ok()) {
    const bool other = absl::IsFailedPrecondition(pinned);
    return fail(other ? kReasonClusterChanged : kReasonClusterUnreachable, pinned);
  }
  auto agent = RenderAgent(InputFor(*visit));
  if (!agent.ok()) return fail(kReasonProfileUnknown, agent.status());
  visit->agent = *std::move(agent);
  const bool install = visit->agent.revision == visit->account.agent.target_revision &&
                       !visit->account.paused && !visit->account.cluster_uid.empty();
  if (install) {
    if (const absl::Status ensured = EnsureAll(visit); !ensured.ok()) {
      fail(kReasonInstallFailed, ensured);
    }
  }
  if (const absl::Status observed = Observe(visit); !observed.ok()) {
    return fail(kReasonClusterUnreachable, observed);
  }
  visit->observation.reached = true;
}

absl::Status Installer::EnsureAll(Visit* visit) {
  FAIRLEAD_RETURN_IF_ERROR(EnsurePlace(visit));
  bool bootstrapped = false;
  for (const RenderedObject& object : visit->agent.objects) {
    // The pods mount it: it has to be there first.
    if (object.kind == "Deployment") {
      FAIRLEAD_RETURN_IF_ERROR(EnsureBootstrap(visit));
      bootstrapped = true;
    }
    FAIRLEAD_ASSIGN_OR_RETURN(const Applied applied, EnsureObject(visit->cluster.get(), object));
    if (applied == Applied::kCorrected) {
      context_->Tell("ClusterAccount", visit->account.meta, true, kEventDriftCorrected, "Apply",
                     StrCat(object.kind, " ", object.name, " was changed by somebody else"));
      log::Info(
          "corrected",
          {{"account", visit->account.account_name}, {"kind", object.kind}, {"name", object.name}});
    }
  }
  if (!bootstrapped) FAIRLEAD_RETURN_IF_ERROR(EnsureBootstrap(visit));
  if (visit->deployment.replicas < 2) {
    // Left over from more replicas, it would keep the only pod from ever being drained.
    FAIRLEAD_RETURN_IF_ERROR(
        RemoveObject(visit->cluster.get(),
                     {kDisruptionBudget, visit->agent.name_space, visit->agent.name},
                     visit->installation(*context_).Owner())
            .status());
  }
  return PruneBindings(visit);
}

// Namespace and profiles: used as they are when they are there.
absl::Status Installer::EnsurePlace(Visit* visit) {
  ClusterClient* cluster = visit->cluster.get();
  const RenderedObject space = RenderNamespace(
      visit->agent.name_space, StrCat(context_->hub_id, "/", visit->deployment.meta.uid));
  const auto known = GetObject(cluster, {TypeOf(space), "", space.name});
  if (absl::IsNotFound(known.status())) {
    FAIRLEAD_RETURN_IF_ERROR(EnsureObject(cluster, space).status());
  } else if (!known.ok()) {
    return known.status();
  }
  if (visit->account.connection.kind == api::Connection::Kind::kInCluster) return absl::OkStatus();
  for (const std::string& name : {visit->account.access.profile, std::string(kBaseProfile)}) {
    const Profile* profile = context_->config->FindProfile(name);
    if (profile == nullptr) continue;
    const RenderedObject role = RenderProfile(*profile);
    const auto there = GetObject(cluster, {TypeOf(role), "", role.name});
    if (there.ok()) continue;
    if (!absl::IsNotFound(there.status())) return there.status();
    const auto applied = EnsureObject(cluster, role);
    if (!applied.ok()) {
      return base::WithContext(
          applied.status(),
          StrCat("ProfileMissing: ClusterRole ", role.name,
                 " is not in the cluster, and the credential may not create it; install chart "
                 "fairlead-agent there with agent.enabled=false"));
    }
  }
  return absl::OkStatus();
}

// A new token only when it is needed: there is no certificate (or it has expired), and the token
// given before is gone or was not used.
absl::Status Installer::EnsureBootstrap(Visit* visit) {
  ClusterClient* cluster = visit->cluster.get();
  const int64_t now = context_->clock->WallMs() / 1000;
  const auto identity =
      GetObject(cluster, {SecretType(), visit->agent.name_space, visit->agent.IdentitySecret()});
  if (!identity.ok() && !absl::IsNotFound(identity.status())) return identity.status();
  if (identity.ok()) {
    const auto info = net::Describe(Decoded(*identity, "tls.crt"));
    visit->certificate_there = info.ok() && info->not_after > now;
  }
  const kube::ObjectName name{SecretType(), visit->agent.name_space,
                              visit->agent.BootstrapSecret()};
  const auto bootstrap = GetObject(cluster, name);
  if (!bootstrap.ok() && !absl::IsNotFound(bootstrap.status())) return bootstrap.status();
  const std::string& ca = context_->certificates->ca_pem();
  if (bootstrap.ok() && Decoded(*bootstrap, "ca.crt") == ca) {
    if (visit->certificate_there) return absl::OkStatus();
    const int64_t expires = ParseRfc3339(
        (*bootstrap)["metadata"]["annotations"]["fairlead.dev/token-expires"].asString());
    const int64_t age = now - (expires - kTokenSeconds);
    if (age >= 0 && age < kTokenPatienceSeconds) return absl::OkStatus();
  }
  const auto endpoint = context_->endpoints.find(visit->account.endpoint_name);
  if (endpoint == context_->endpoints.end()) {
    return absl::NotFoundError(StrCat("no endpoint \"", visit->account.endpoint_name, "\""));
  }
  const RenderInput input = InputFor(*visit);
  FAIRLEAD_ASSIGN_OR_RETURN(const std::string token,
                            endpoint->second->CreateToken(input.identity, kTokenSeconds));
  const RenderedObject secret =
      RenderBootstrap(input, token, ca, Rfc3339((now + kTokenSeconds) * 1000));
  return EnsureObject(cluster, secret).status();
}

// A namespace that left the account's access keeps no rights.
absl::Status Installer::PruneBindings(Visit* visit) {
  const Installation installation = visit->installation(*context_);
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<kube::ObjectName> found,
                            FindBindings(visit->cluster.get(), installation));
  std::set<std::pair<std::string, std::string>> wanted;
  for (const RenderedObject& one : visit->agent.objects) {
    if (one.resource == "rolebindings" || one.resource == "clusterrolebindings") {
      wanted.emplace(one.name_space, one.name);
    }
  }
  for (const kube::ObjectName& one : found) {
    if (wanted.contains({one.name_space, one.name})) continue;
    FAIRLEAD_RETURN_IF_ERROR(
        RemoveObject(visit->cluster.get(), one, installation.Owner()).status());
    log::Info("rights withdrawn", {{"account", visit->account.account_name},
                                   {"namespace", one.name_space},
                                   {"binding", one.name}});
  }
  return absl::OkStatus();
}

absl::Status Installer::Observe(Visit* visit) {
  const auto live = GetObject(visit->cluster.get(),
                              {kDeploymentType, visit->agent.name_space, visit->agent.name});
  if (absl::IsNotFound(live.status())) return absl::OkStatus();
  if (!live.ok()) return live.status();
  visit->observation.installed_revision =
      (*live)["metadata"]["annotations"][kRevisionAnnotation].asString();
  const Json::Value& status = (*live)["status"];
  const int wanted = (*live)["spec"]["replicas"].asInt();
  visit->observation.available =
      status["observedGeneration"] == (*live)["metadata"]["generation"] &&
      status["updatedReplicas"].asInt() >= wanted &&
      status["availableReplicas"].asInt() >= wanted && status["replicas"].asInt() == wanted;
  return absl::OkStatus();
}

absl::StatusOr<bool> Installer::Remove(const api::ClusterAccount& account,
                                       const std::string& deployment_uid,
                                       const std::string& target_namespace) {
  context_->observations.Forget(account.meta.uid);
  if (account.connection.kind == api::Connection::Kind::kDialIn) return true;
  const Installation installation{context_->hub_id, deployment_uid, account.meta.uid};
  const std::string owner = installation.Owner();
  const std::string name = installation.Name();
  FAIRLEAD_ASSIGN_OR_RETURN(const auto cluster, context_->clusters->For(account));
  FAIRLEAD_RETURN_IF_ERROR(CheckPin(cluster.get(), account));
  FAIRLEAD_ASSIGN_OR_RETURN(
      const bool workload_gone,
      RemoveObject(cluster.get(), {kDeploymentType, target_namespace, name}, owner));
  if (!workload_gone) return false;
  FAIRLEAD_ASSIGN_OR_RETURN(const auto bindings, FindBindings(cluster.get(), installation));
  bool gone = true;
  std::vector<kube::ObjectName> rest = bindings;
  const kube::ResourceType role{"rbac.authorization.k8s.io", "v1", "roles", "Role", true};
  const kube::ResourceType map{"", "v1", "configmaps", "ConfigMap", true};
  const kube::ResourceType account_type{"", "v1", "serviceaccounts", "ServiceAccount", true};
  rest.push_back({kDisruptionBudget, target_namespace, name});
  rest.push_back({role, target_namespace, name + "-identity"});
  rest.push_back({map, target_namespace, name});
  rest.push_back({SecretType(), target_namespace, name + "-bootstrap"});
  rest.push_back({SecretType(), target_namespace, name + "-identity"});
  rest.push_back({account_type, target_namespace, name});
  for (const kube::ObjectName& one : rest) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool removed, RemoveObject(cluster.get(), one, owner));
    gone = gone && removed;
  }
  return gone;
}

}  // namespace fairlead::op
