#include "api/v1alpha1/types.h"

#include <json/value.h>

#include <algorithm>

#include "api/v1alpha1/field_reader.h"
#include "lib/base/strings.h"

namespace fairlead::api {

namespace {

using base::StrCat;

void ReadMeta(const Json::Value& object, ObjectMeta* out) {
  FieldReader meta = FieldReader(object, "").Object("metadata");
  out->name = meta.String("name");
  out->name_space = meta.String("namespace");
  out->uid = meta.String("uid");
  out->resource_version = meta.String("resourceVersion");
  out->creation_timestamp = meta.String("creationTimestamp");
  out->generation = meta.Int("generation", 0, 0, INT64_MAX);
  out->deletion_timestamp = meta.String("deletionTimestamp");
  out->deleting = !out->deletion_timestamp.empty();
  out->finalizers = meta.Strings("finalizers");
  out->labels = meta.StringMap("labels");
  out->annotations = meta.StringMap("annotations");
}

std::vector<Condition> ReadConditions(FieldReader& status) {
  std::vector<Condition> out;
  for (FieldReader& one : status.Objects("conditions")) {
    Condition condition;
    condition.type = one.String("type");
    condition.status = one.String("status", "Unknown");
    condition.reason = one.String("reason");
    condition.message = one.String("message");
    condition.last_transition_time = one.String("lastTransitionTime");
    condition.observed_generation = one.Int("observedGeneration", 0, 0, INT64_MAX);
    out.push_back(std::move(condition));
  }
  return out;
}

bool ValidAccountName(std::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '-' && c != '_'))) return false;
  }
  return true;
}

void ReadConnection(FieldReader& spec, Connection* out) {
  FieldReader connection = spec.Object("connection");
  const int members =
      connection.Has("inCluster") + connection.Has("kubeconfig") + connection.Has("dialIn");
  if (members != 1) {
    spec.Fail("connection", "exactly one of inCluster, kubeconfig and dialIn must be set");
  }
  if (connection.Has("dialIn")) out->kind = Connection::Kind::kDialIn;
  if (!connection.Has("kubeconfig")) return;
  out->kind = Connection::Kind::kKubeconfig;
  FieldReader kubeconfig = connection.Object("kubeconfig");
  out->kubeconfig.serve = kubeconfig.OneOf("purpose", {"Install", "Serve"}, "") == "Serve";
  FieldReader secret = kubeconfig.Object("secretRef");
  out->kubeconfig.secret_name = secret.RequiredString("name");
  out->kubeconfig.secret_key = secret.String("key", "value");
}

void ReadAccess(FieldReader& spec, Access* out) {
  FieldReader access = spec.Object("access");
  out->profile = access.String("profile");
  out->existing_service_account = access.String("existingServiceAccount");
  if (out->profile.empty() == out->existing_service_account.empty()) {
    spec.Fail("access", "exactly one of profile and existingServiceAccount must be set");
  }
  out->cluster_level = access.OneOf("level", {"Cluster", "Namespaces"}, "") == "Cluster";
  out->namespaces = access.Strings("namespaces");
  if (!out->cluster_level && out->namespaces.empty()) {
    access.Fail("namespaces", "must not be empty when level is Namespaces");
  }
  if (out->cluster_level && !out->namespaces.empty()) {
    access.Fail("namespaces", "must not be set when level is Cluster");
  }
  out->has_assume = access.Has("assume") && !access.Objects("assume").empty();
}

void ReadAccountStatus(const Json::Value& object, ClusterAccount* out) {
  FieldReader status = FieldReader(object, "").Object("status");
  out->observed_generation = status.Int("observedGeneration", -1, -1, INT64_MAX);
  out->conditions = ReadConditions(status);
  out->account_uid = status.String("accountUID");
  out->cluster_uid = status.String("clusterUID");
  out->kubernetes_version = status.String("kubernetesVersion");
  FieldReader agent = status.Object("agent");
  out->agent.deployment_name = agent.Object("deploymentRef").String("name");
  out->agent.uid = agent.String("uid");
  out->agent.target_revision = agent.String("targetRevision");
  out->agent.observed_revision = agent.String("observedRevision");
  out->agent.state = agent.String("state");
  out->agent.started_time = agent.String("startedTime");
}

LabelSelector ReadSelector(FieldReader& accounts) {
  LabelSelector out;
  FieldReader selector = accounts.Object("selector");
  out.match_labels = selector.StringMap("matchLabels");
  for (FieldReader& one : selector.Objects("matchExpressions")) {
    LabelRequirement requirement;
    requirement.key = one.RequiredString("key");
    requirement.op = one.OneOf("operator", {"In", "NotIn", "Exists", "DoesNotExist"}, "");
    requirement.values = one.Strings("values");
    out.match_expressions.push_back(std::move(requirement));
  }
  if (out.match_labels.empty() && out.match_expressions.empty()) {
    accounts.Fail("selector", "matchLabels or matchExpressions must not be empty");
  }
  return out;
}

void ReadAccounts(FieldReader& spec, AgentDeployment* out) {
  FieldReader accounts = spec.Object("accounts");
  if (accounts.Has("refs") == accounts.Has("selector")) {
    spec.Fail("accounts", "exactly one of refs and selector must be set");
  }
  for (FieldReader& one : accounts.Objects("refs")) out->refs.push_back(one.RequiredString("name"));
  if (accounts.Has("selector")) out->selector = ReadSelector(accounts);
}

void ReadPods(FieldReader& spec, AgentDeployment* out) {
  out->replicas = static_cast<int>(spec.Int("replicas", 2, 1, 5));
  out->target_namespace = spec.String("targetNamespace", "fairlead-agent");
  if (out->target_namespace.starts_with("kube-")) {
    spec.Fail("targetNamespace", "must not be a kube-* namespace");
  }
  FieldReader image = spec.Object("image");
  out->image = {image.String("registry"), image.String("repository"), image.String("tag"),
                image.String("digest"), image.String("pullPolicy")};
  for (FieldReader& one : spec.Objects("imagePullSecrets")) {
    out->image_pull_secrets.push_back(one.RequiredString("name"));
  }
  out->resources_json = spec.Raw("resources");
  out->scheduling_json = spec.Raw("scheduling");
  out->priority_class_name = spec.String("priorityClassName");
  out->has_proxy = spec.Has("proxy");
  out->pod_labels = spec.StringMap("podLabels");
}

}  // namespace

bool ObjectMeta::HasFinalizer(std::string_view finalizer) const {
  return std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end();
}

bool LabelSelector::Matches(const std::map<std::string, std::string>& labels) const {
  for (const auto& [key, value] : match_labels) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  for (const LabelRequirement& one : match_expressions) {
    const auto found = labels.find(one.key);
    const bool there = found != labels.end();
    const bool listed =
        there && std::find(one.values.begin(), one.values.end(), found->second) != one.values.end();
    if (one.op == "In" && !listed) return false;
    if (one.op == "NotIn" && listed) return false;
    if (one.op == "Exists" && !there) return false;
    if (one.op == "DoesNotExist" && there) return false;
  }
  return true;
}

absl::Status ParseClusterAccount(const Json::Value& object, ClusterAccount* out) {
  ReadMeta(object, &out->meta);
  ReadAccountStatus(object, out);
  FieldReader root(object, "");
  FieldReader spec = root.Object("spec");
  out->account_name = spec.String("accountName", out->meta.name);
  if (!ValidAccountName(out->account_name)) {
    spec.Fail("accountName",
              StrCat("\"", out->account_name,
                     "\" is no account name: letters, digits, '_' and '-', at most 63; set it when "
                     "metadata.name does not fit"));
  }
  out->environment = spec.String("environment");
  out->endpoint_name = spec.String("endpointName", "default");
  ReadConnection(spec, &out->connection);
  ReadAccess(spec, &out->access);
  out->scope_json = spec.Raw("scope");
  out->permissions_json = spec.Raw("permissions");
  if (out->permissions_json.empty()) spec.Fail("permissions", "is required");
  out->protection_json = spec.Raw("deletionProtection");
  out->abandon_after_seconds = spec.Int("abandonAfterSeconds", 3600, 0, 2592000);
  out->paused = spec.Bool("paused", false);
  return root.status();
}

absl::Status ParseAgentDeployment(const Json::Value& object, AgentDeployment* out) {
  ReadMeta(object, &out->meta);
  FieldReader status = FieldReader(object, "").Object("status");
  out->observed_generation = status.Int("observedGeneration", -1, -1, INT64_MAX);
  out->conditions = ReadConditions(status);
  out->current_revision = status.String("currentRevision");
  out->update_revision = status.String("updateRevision");
  FieldReader root(object, "");
  FieldReader spec = root.Object("spec");
  const std::string mode = spec.OneOf("mode", {"Agent", "Cluster", "Infrastructure"}, "");
  out->mode = mode == "Cluster"          ? AgentDeployment::Mode::kCluster
              : mode == "Infrastructure" ? AgentDeployment::Mode::kInfrastructure
                                         : AgentDeployment::Mode::kAgent;
  ReadAccounts(spec, out);
  ReadPods(spec, out);
  FieldReader rollout = spec.Object("rollout");
  out->rollout_type = rollout.OneOf("type", {"AllAtOnce", "Progressive", "Waves"}, "AllAtOnce");
  out->progress_deadline_seconds = rollout.Int("progressDeadlineSeconds", 600, 30, 86400);
  out->orphan_on_delete = spec.OneOf("deletionPolicy", {"Delete", "Orphan"}, "Delete") == "Orphan";
  out->paused = spec.Bool("paused", false);
  return root.status();
}

Json::Value ConditionToJson(const Condition& condition) {
  Json::Value out;
  out["type"] = condition.type;
  out["status"] = condition.status;
  out["reason"] = condition.reason;
  out["message"] = condition.message;
  out["lastTransitionTime"] = condition.last_transition_time;
  out["observedGeneration"] = Json::Int64(condition.observed_generation);
  return out;
}

}  // namespace fairlead::api
