#include "operator/controllers/objects.h"

#include <ctime>
#include <utility>

#include "api/v1alpha1/types.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/log/log.h"
#include "operator/model/intent.h"
#include "operator/model/names.h"

namespace fairlead::op {

namespace {

using base::StrCat;

absl::Status ErrorOf(const kube::ApiAnswer& answer, const std::string& what) {
  return base::WithContext(kube::ToStatus(*answer.error), what);
}

std::string What(const char* verb, const kube::ObjectName& name) {
  return StrCat(verb, " ", name.type.resource, " ", name.name_space,
                name.name_space.empty() ? "" : "/", name.name);
}

}  // namespace

kube::ResourceType TypeOf(const RenderedObject& object) {
  const size_t slash = object.api_version.find('/');
  kube::ResourceType type;
  if (slash != std::string::npos) type.group = object.api_version.substr(0, slash);
  type.version =
      slash == std::string::npos ? object.api_version : object.api_version.substr(slash + 1);
  type.resource = object.resource;
  type.kind = object.kind;
  type.namespaced = !object.name_space.empty();
  return type;
}

kube::ResourceType AccountType() {
  return {api::kGroup, api::kVersion, "clusteraccounts", "ClusterAccount", true};
}

kube::ResourceType DeploymentType() {
  return {api::kGroup, api::kVersion, "agentdeployments", "AgentDeployment", true};
}

kube::ResourceType SecretType() { return {"", "v1", "secrets", "Secret", true}; }

absl::StatusOr<Json::Value> GetObject(ClusterClient* cluster, const kube::ObjectName& name) {
  const kube::ApiAnswer answer = cluster->Get(name);
  if (answer.error && answer.error->reason == kube::Reason::kNotFound) {
    return absl::NotFoundError(What("get", name));
  }
  if (answer.error) return ErrorOf(answer, What("get", name));
  auto object = json::ParseJson(answer.body);
  // Not InvalidArgument: what was asked for is good, the answer is not.
  if (!object.ok()) return absl::DataLossError(StrCat(What("get", name), ": no JSON came back"));
  return object;
}

absl::StatusOr<std::string> ClusterUid(ClusterClient* cluster) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const Json::Value space,
      GetObject(cluster, {{"", "v1", "namespaces", "Namespace", false}, "", "kube-system"}));
  const std::string uid = space["metadata"]["uid"].asString();
  if (uid.empty()) return absl::UnavailableError("namespace kube-system has no uid");
  return uid;
}

absl::Status CheckPin(const std::string& cluster_uid, const api::ClusterAccount& account) {
  if (account.cluster_uid.empty() || cluster_uid == account.cluster_uid) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat("the connection leads to cluster ", cluster_uid,
                                              ", but the account is pinned to ",
                                              account.cluster_uid, "; nothing is written there"));
}

absl::Status CheckPin(ClusterClient* cluster, const api::ClusterAccount& account) {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::string uid, ClusterUid(cluster));
  return CheckPin(uid, account);
}

absl::StatusOr<Applied> EnsureObject(ClusterClient* cluster, const RenderedObject& wanted) {
  const kube::ObjectName name{TypeOf(wanted), wanted.name_space, wanted.name};
  const auto live = GetObject(cluster, name);
  if (!live.ok() && !absl::IsNotFound(live.status())) return live.status();
  if (live.ok()) {
    const Json::Value& meta = (*live)["metadata"];
    const Json::Value& owner = meta["annotations"][kOwnerAnnotation];
    const Json::Value& ours = wanted.object["metadata"]["annotations"][kOwnerAnnotation];
    if (!ours.isNull() && owner != ours) {
      return absl::AlreadyExistsError(StrCat(
          What("apply", name), ": an object of that name belongs to somebody else (annotation ",
          kOwnerAnnotation, "); it was not touched"));
    }
    if (meta.isMember("deletionTimestamp")) {
      return absl::UnavailableError(StrCat(What("apply", name), ": the old one is being deleted"));
    }
    if (!NeedsApply(*live, wanted.object)) return Applied::kUnchanged;
    log::Info("object differs", {{"cluster", cluster->host()},
                                 {"object", What("apply", name)},
                                 {"field", FirstDifference(*live, wanted.object)}});
  }
  const kube::ApiAnswer answer =
      cluster->Apply(name, json::WriteJson(wanted.object), kObjectManager);
  if (answer.error) return ErrorOf(answer, What("apply", name));
  if (!live.ok()) return Applied::kCreated;
  const auto intent = [](const Json::Value& object) {
    return object["metadata"]["annotations"][kIntentAnnotation];
  };
  return intent(*live) == intent(wanted.object) ? Applied::kCorrected : Applied::kUpdated;
}

absl::StatusOr<bool> RemoveObject(ClusterClient* cluster, const kube::ObjectName& name,
                                  const std::string& owner) {
  const auto live = GetObject(cluster, name);
  if (absl::IsNotFound(live.status())) return true;
  if (!live.ok()) return live.status();
  const Json::Value& meta = (*live)["metadata"];
  if (meta["annotations"][kOwnerAnnotation] != owner)
    return true;  // a stranger's: not ours to take
  if (meta.isMember("deletionTimestamp")) return false;
  kube::DeleteConditions conditions;
  conditions.uid = meta["uid"].asString();
  conditions.propagation = "Foreground";
  const kube::ApiAnswer answer = cluster->Delete(name, conditions);
  if (answer.error && answer.error->reason == kube::Reason::kNotFound) return true;
  if (answer.error) return ErrorOf(answer, What("delete", name));
  return false;
}

absl::Status AddFinalizer(ClusterClient* hub, const kube::ResourceType& type,
                          const Json::Value& object) {
  const Json::Value& meta = object["metadata"];
  Json::Value patch(Json::arrayValue);
  Json::Value test;
  test["op"] = "test";
  test["path"] = "/metadata/resourceVersion";
  test["value"] = meta["resourceVersion"];
  Json::Value add;
  add["op"] = "add";
  add["path"] = "/metadata/finalizers";
  add["value"] = meta["finalizers"].isArray() ? meta["finalizers"] : Json::Value(Json::arrayValue);
  add["value"].append(kFinalizer);
  patch.append(test);
  patch.append(add);
  const kube::ApiAnswer answer =
      hub->JsonPatch({type, meta["namespace"].asString(), meta["name"].asString()},
                     json::WriteJson(patch), kObjectManager);
  return answer.error ? ErrorOf(answer, "add the finalizer") : absl::OkStatus();
}

absl::Status RemoveFinalizer(ClusterClient* hub, const kube::ResourceType& type,
                             const Json::Value& object) {
  const Json::Value& meta = object["metadata"];
  const Json::Value& all = meta["finalizers"];
  for (Json::ArrayIndex i = 0; i < all.size(); ++i) {
    if (all[i] != kFinalizer) continue;
    Json::Value patch(Json::arrayValue);
    Json::Value test;
    test["op"] = "test";
    test["path"] = StrCat("/metadata/finalizers/", i);
    test["value"] = kFinalizer;
    Json::Value remove;
    remove["op"] = "remove";
    remove["path"] = test["path"];
    patch.append(test);
    patch.append(remove);
    const kube::ApiAnswer answer =
        hub->JsonPatch({type, meta["namespace"].asString(), meta["name"].asString()},
                       json::WriteJson(patch), kObjectManager);
    if (answer.error && answer.error->reason != kube::Reason::kNotFound) {
      return ErrorOf(answer, "remove the finalizer");
    }
  }
  return absl::OkStatus();
}

absl::Status WriteStatus(ClusterClient* hub, const kube::ResourceType& type,
                         const Json::Value& live, const Json::Value& status,
                         const std::string& manager) {
  if (Contains(live["status"], status)) return absl::OkStatus();
  return ApplyStatus(hub, type, live, status, manager);
}

absl::Status ApplyStatus(ClusterClient* hub, const kube::ResourceType& type,
                         const Json::Value& live, const Json::Value& status,
                         const std::string& manager) {
  const Json::Value& meta = live["metadata"];
  Json::Value object;
  object["apiVersion"] = StrCat(type.group, "/", type.version);
  object["kind"] = type.kind;
  object["metadata"]["name"] = meta["name"];
  object["metadata"]["namespace"] = meta["namespace"];
  // Never over what this visit has not seen, nor on a namesake made since: two deployments cannot
  // both take an account, however old what they read is. (A uid is not looked at for a status.)
  object["metadata"]["resourceVersion"] = meta["resourceVersion"];
  object["status"] = status;
  const kube::ApiAnswer answer =
      hub->Apply({type, meta["namespace"].asString(), meta["name"].asString()},
                 json::WriteJson(object), manager, "status");
  return answer.error ? ErrorOf(answer, "write status") : absl::OkStatus();
}

std::string Rfc3339(int64_t wall_ms) {
  const time_t seconds = wall_ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

int64_t ParseRfc3339(const std::string& text) {
  tm parts{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return 0;
  return timegm(&parts);
}

}  // namespace fairlead::op
