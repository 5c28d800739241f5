#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace Json {
class Value;
}

// The two custom resources as C++ (source of truth of the schema: crds/). Only what the operator
// acts on is here; everything else passes by untouched.
namespace fairlead::api {

inline constexpr char kGroup[] = "fairlead.dev";
inline constexpr char kVersion[] = "v1alpha1";

struct ObjectMeta {
  std::string name;
  std::string name_space;
  std::string uid;
  std::string resource_version;
  std::string creation_timestamp;
  int64_t generation = 0;
  bool deleting = false;
  std::string deletion_timestamp;  // RFC 3339, "" unless deleting
  std::vector<std::string> finalizers;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  [[nodiscard]] bool HasFinalizer(std::string_view finalizer) const;
};

// metav1.Condition.
struct Condition {
  std::string type;
  std::string status = "Unknown";  // True | False | Unknown
  std::string reason;
  std::string message;
  std::string last_transition_time;
  int64_t observed_generation = 0;
  friend bool operator==(const Condition&, const Condition&) = default;
};

struct KubeconfigConnection {
  bool serve = false;  // purpose: Serve, else Install
  std::string secret_name;
  std::string secret_key = "value";
};

struct Connection {
  enum class Kind { kInCluster, kKubeconfig, kDialIn };
  Kind kind = Kind::kInCluster;
  KubeconfigConnection kubeconfig;
};

struct Access {
  std::string profile;                   // "" with existing_service_account
  std::string existing_service_account;  // its rights are the cluster owner's business
  bool cluster_level = false;            // else `namespaces`
  std::vector<std::string> namespaces;
  bool has_assume = false;
};

// status.agent, written by the rollout.
struct AccountAgent {
  std::string deployment_name;
  std::string uid;  // of the AgentDeployment; "" = nobody holds the account
  std::string target_revision;
  std::string observed_revision;
  std::string state;
  std::string started_time;
  friend bool operator==(const AccountAgent&, const AccountAgent&) = default;
};

struct ClusterAccount {
  ObjectMeta meta;
  std::string account_name;  // spec.accountName, else metadata.name
  std::string environment;
  std::string endpoint_name = "default";
  Connection connection;
  Access access;
  std::string scope_json;        // spec.scope, spec.permissions and spec.deletionProtection as the
  std::string permissions_json;  // endpoint's registry takes them; "" = absent
  std::string protection_json;
  int64_t abandon_after_seconds = 3600;
  bool paused = false;

  // status
  int64_t observed_generation = -1;
  std::vector<Condition> conditions;
  std::string account_uid;
  std::string cluster_uid;
  std::string kubernetes_version;
  AccountAgent agent;
};

struct LabelRequirement {
  std::string key;
  std::string op;  // In | NotIn | Exists | DoesNotExist
  std::vector<std::string> values;
};

struct LabelSelector {
  std::map<std::string, std::string> match_labels;
  std::vector<LabelRequirement> match_expressions;
  [[nodiscard]] bool Matches(const std::map<std::string, std::string>& labels) const;
};

struct ImageSpec {
  std::string registry;
  std::string repository;
  std::string tag;
  std::string digest;
  std::string pull_policy;
};

struct AgentDeployment {
  ObjectMeta meta;
  enum class Mode { kAgent, kCluster, kInfrastructure };
  Mode mode = Mode::kAgent;
  std::vector<std::string> refs;  // exactly one of refs and selector
  std::optional<LabelSelector> selector;
  int replicas = 2;
  std::string target_namespace = "fairlead-agent";
  ImageSpec image;
  std::vector<std::string> image_pull_secrets;
  std::string resources_json;   // core/v1 ResourceRequirements; "" = defaults
  std::string scheduling_json;  // spec.scheduling; "" = none
  std::string priority_class_name;
  bool has_proxy = false;
  std::map<std::string, std::string> pod_labels;
  std::string rollout_type = "AllAtOnce";
  int64_t progress_deadline_seconds = 600;
  bool orphan_on_delete = false;  // deletionPolicy: Orphan
  bool paused = false;

  // status
  int64_t observed_generation = -1;
  std::vector<Condition> conditions;
  std::string current_revision;
  std::string update_revision;
};

// Reads an object as the API server gave it. InvalidArgument names the field
// ("spec.connection.kubeconfig.secretRef.name: is required"): the rules of the schema that the
// operator's own safety needs are checked once more, as an older CRD may be installed. The metadata
// and status are read in any case: *out is usable for reporting even when the spec is refused.
absl::Status ParseClusterAccount(const Json::Value& object, ClusterAccount* out);
absl::Status ParseAgentDeployment(const Json::Value& object, AgentDeployment* out);

// For status writes.
Json::Value ConditionToJson(const Condition& condition);

}  // namespace fairlead::api
