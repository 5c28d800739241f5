#pragma once

#include <json/value.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/v1alpha1/types.h"
#include "operator/model/names.h"

// Renders the objects of one agent installation. Pure: the same input gives the same objects; the
// chart fairlead-agent renders the same ones.
namespace fairlead::op {

struct PolicyRule {
  std::vector<std::string> api_groups;
  std::vector<std::string> resources;
  std::vector<std::string> resource_names;
  std::vector<std::string> verbs;
};

// A set of rights that agents may be given: a ClusterRole that is bound, by name.
struct Profile {
  std::string name;
  std::string cluster_role;
  std::vector<PolicyRule> rules;
};
// What every agent with rights in namespaces only needs beside them: to read the cluster's uid.
inline constexpr char kBaseProfile[] = "base";

struct AgentImage {
  std::string registry;
  std::string repository;
  std::string tag;
  std::string digest;
  std::string pull_policy = "IfNotPresent";
};

struct RenderInput {
  Installation installation;
  const api::ClusterAccount* account = nullptr;
  const api::AgentDeployment* deployment = nullptr;
  AgentImage default_image;          // AgentDeployment fields override its parts
  const Profile* profile = nullptr;  // null with existingServiceAccount
  const Profile* base = nullptr;
  std::vector<std::string> endpoint_addresses;  // host:port
  std::string endpoint_name;                    // what the serving certificate says
  std::string identity;
};

struct RenderedObject {
  std::string api_version;
  std::string kind;
  std::string resource;  // plural
  std::string name_space;
  std::string name;
  Json::Value object;  // stamped with the intent annotation
};

struct RenderedAgent {
  std::string revision;  // 10 hexadecimal digits over everything that would restart a pod
  std::string name_space;
  std::string name;  // of the Deployment and most objects
  std::string service_account;
  // In the order of creation; removal goes the other way round, the workload before all.
  std::vector<RenderedObject> objects;

  [[nodiscard]] std::string BootstrapSecret() const { return name + "-bootstrap"; }
  [[nodiscard]] std::string IdentitySecret() const { return name + "-identity"; }
};

absl::StatusOr<RenderedAgent> RenderAgent(const RenderInput& input);

// The Secret with what a new agent needs once: a one-time token, and the CA to trust. Its content
// changes by itself, so it is no part of RenderAgent's.
RenderedObject RenderBootstrap(const RenderInput& input, const std::string& token,
                               const std::string& ca_pem, const std::string& expires);
// A profile's ClusterRole, for clusters that do not have it.
RenderedObject RenderProfile(const Profile& profile);
RenderedObject RenderNamespace(const std::string& name, const std::string& owner);

}  // namespace fairlead::op
