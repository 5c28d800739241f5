#include "operator/model/agent_objects.h"

#include <json/reader.h>
#include <json/writer.h>

#include <memory>
#include <utility>

#include "absl/strings/escaping.h"

#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "operator/model/intent.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr char kRbac[] = "rbac.authorization.k8s.io/v1";
constexpr char kConfigDir[] = "/etc/fairlead/config";
constexpr char kBootstrapDir[] = "/etc/fairlead/bootstrap";
constexpr char kIdentityDir[] = "/var/lib/fairlead/identity";

std::string Compact(const Json::Value& value) {
  Json::StreamWriterBuilder compact;
  compact["indentation"] = "";
  return Json::writeString(compact, value);
}

// Text from the API server's own schema-checked object; "" reads as null.
Json::Value Parsed(const std::string& json) {
  Json::Value out;
  if (json.empty()) return out;
  const std::unique_ptr<Json::CharReader> reader(Json::CharReaderBuilder().newCharReader());
  reader->parse(json.data(), json.data() + json.size(), &out, nullptr);
  return out;
}

Json::Value List(const std::vector<std::string>& items) {
  Json::Value out(Json::arrayValue);
  for (const std::string& one : items) out.append(one);
  return out;
}

class Renderer {
 public:
  explicit Renderer(const RenderInput& input) : in_(input) {
    out_.name = in_.installation.Name();
    out_.name_space = in_.deployment->target_namespace;
    out_.service_account = in_.account->access.existing_service_account.empty()
                               ? out_.name
                               : in_.account->access.existing_service_account;
  }

  RenderedAgent Render() {
    const Json::Value config = ConfigYaml();
    const Json::Value pod = PodSpec();
    Json::Value restarts;
    restarts["config"] = config;
    restarts["pod"] = pod;
    restarts["labels"] = PodLabels();
    out_.revision = base::Sha256Hex(Compact(restarts)).substr(0, 10);

    if (in_.account->access.existing_service_account.empty()) Add("v1", "ServiceAccount", {});
    AddIdentitySecret();
    AddConfigMap(config);
    AddRights();
    AddDeployment(pod);
    AddDisruptionBudget();
    return std::move(out_);
  }

  RenderedObject Bootstrap(const std::string& token, const std::string& ca_pem,
                           const std::string& expires) {
    Json::Value object;
    object["type"] = "Opaque";
    object["data"]["token"] = absl::Base64Escape(token);
    object["data"]["ca.crt"] = absl::Base64Escape(ca_pem);
    object["metadata"]["annotations"]["fairlead.dev/token-expires"] = expires;
    Add("v1", "Secret", std::move(object), out_.BootstrapSecret());
    return std::move(out_.objects.back());
  }

 private:
  void Add(const std::string& api_version, const std::string& kind, Json::Value object,
           std::string name = "", const std::string* name_space = nullptr) {
    RenderedObject rendered;
    rendered.api_version = api_version;
    rendered.kind = kind;
    rendered.resource = Plural(kind);
    rendered.name = name.empty() ? out_.name : std::move(name);
    rendered.name_space = name_space == nullptr ? out_.name_space : *name_space;
    object["apiVersion"] = api_version;
    object["kind"] = kind;
    Json::Value& meta = object["metadata"];
    meta["name"] = rendered.name;
    if (!rendered.name_space.empty()) meta["namespace"] = rendered.name_space;
    meta["labels"] = Labels();
    meta["annotations"][kOwnerAnnotation] = in_.installation.Owner();
    StampIntent(&object);
    rendered.object = std::move(object);
    out_.objects.push_back(std::move(rendered));
  }

  static std::string Plural(const std::string& kind) {
    if (kind == "PodDisruptionBudget") return "poddisruptionbudgets";
    std::string plural;
    for (const char c : kind) plural += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return plural + "s";
  }

  [[nodiscard]] Json::Value Labels() const {
    Json::Value labels;
    labels["app.kubernetes.io/name"] = "fairlead-agent";
    labels["app.kubernetes.io/part-of"] = "fairlead";
    labels[kManagedByLabel] = kManagedBy;
    labels[kAgentLabel] = in_.installation.Hash();
    return labels;
  }

  [[nodiscard]] Json::Value PodLabels() const {
    Json::Value labels = Labels();
    for (const auto& [key, value] : in_.deployment->pod_labels) {
      if (!labels.isMember(key)) labels[key] = value;
    }
    return labels;
  }

  // JSON is YAML, and is quoted right whatever is in a name.
  [[nodiscard]] Json::Value ConfigYaml() const {
    Json::Value config;
    config["endpoints"] = List(in_.endpoint_addresses);
    config["serverName"] = in_.endpoint_name;
    config["trustBundleFile"] = StrCat(kBootstrapDir, "/ca.crt");
    config["identity"]["name"] = in_.identity;
    config["identity"]["dir"] = kIdentityDir;
    config["identity"]["tokenFile"] = StrCat(kBootstrapDir, "/token");
    config["identitySecret"]["namespace"] = out_.name_space;
    config["identitySecret"]["name"] = out_.IdentitySecret();
    config["health"]["address"] = "0.0.0.0:8080";
    Json::Value account;
    account["name"] = in_.account->account_name;
    account["connection"]["inCluster"] = Json::objectValue;
    config["accounts"].append(account);
    return config;
  }

  void AddIdentitySecret() {
    Json::Value secret;
    secret["type"] = "Opaque";
    Add("v1", "Secret", std::move(secret), out_.IdentitySecret());
    Json::Value role;
    Json::Value rule;
    rule["apiGroups"] = List({""});
    rule["resources"] = List({"secrets"});
    rule["resourceNames"] = List({out_.IdentitySecret()});
    rule["verbs"] = List({"get", "patch"});
    role["rules"].append(rule);
    const std::string name = StrCat(out_.name, "-identity");
    Add(kRbac, "Role", std::move(role), name);
    Add(kRbac, "RoleBinding", Binding("Role", name), name);
  }

  [[nodiscard]] Json::Value Binding(const std::string& kind, const std::string& role) const {
    Json::Value binding;
    binding["roleRef"]["apiGroup"] = "rbac.authorization.k8s.io";
    binding["roleRef"]["kind"] = kind;
    binding["roleRef"]["name"] = role;
    Json::Value subject;
    subject["kind"] = "ServiceAccount";
    subject["name"] = out_.service_account;
    subject["namespace"] = out_.name_space;
    binding["subjects"].append(subject);
    return binding;
  }

  // The profile's name is in the binding's, as roleRef cannot be changed: another profile is
  // another binding, made before the old one goes.
  void AddRights() {
    if (in_.profile == nullptr) return;
    const std::string everywhere;
    const std::string name = StrCat(out_.name, "-", in_.profile->name);
    const Json::Value binding = Binding("ClusterRole", in_.profile->cluster_role);
    if (in_.account->access.cluster_level) {
      Add(kRbac, "ClusterRoleBinding", binding, name, &everywhere);
      return;
    }
    for (const std::string& one : in_.account->access.namespaces) {
      Add(kRbac, "RoleBinding", binding, name, &one);
    }
    if (in_.base != nullptr) {
      Add(kRbac, "ClusterRoleBinding", Binding("ClusterRole", in_.base->cluster_role),
          StrCat(out_.name, "-", in_.base->name), &everywhere);
    }
  }

  void AddConfigMap(const Json::Value& config) {
    Json::Value map;
    Json::StreamWriterBuilder readable;
    readable["indentation"] = "  ";
    map["data"]["agent.yaml"] = Json::writeString(readable, WithRevision(config)) + "\n";
    Add("v1", "ConfigMap", std::move(map));
  }

  // Not part of what the revision is computed from.
  [[nodiscard]] Json::Value WithRevision(Json::Value config) const {
    config["revision"] = out_.revision;
    return config;
  }

  [[nodiscard]] std::string Image() const {
    const api::ImageSpec& own = in_.deployment->image;
    const auto pick = [](const std::string& a, const std::string& b) { return a.empty() ? b : a; };
    const std::string digest =
        own.tag.empty() ? pick(own.digest, in_.default_image.digest) : own.digest;
    const std::string name = StrCat(pick(own.registry, in_.default_image.registry), "/",
                                    pick(own.repository, in_.default_image.repository));
    return digest.empty() ? StrCat(name, ":", pick(own.tag, in_.default_image.tag))
                          : StrCat(name, "@", digest);
  }

  [[nodiscard]] Json::Value Resources() const {
    Json::Value resources = Parsed(in_.deployment->resources_json);
    if (!resources.isNull()) return resources;
    resources["requests"]["cpu"] = "50m";
    resources["requests"]["memory"] = "64Mi";
    resources["limits"]["memory"] = "256Mi";
    return resources;
  }

  static Json::Value Probe(const char* path, int period, int failures) {
    Json::Value probe;
    probe["httpGet"]["path"] = path;
    probe["httpGet"]["port"] = "health";
    probe["periodSeconds"] = period;
    probe["failureThreshold"] = failures;
    return probe;
  }

  [[nodiscard]] Json::Value Container() const {
    Json::Value container;
    container["name"] = "agent";
    container["image"] = Image();
    container["imagePullPolicy"] = in_.deployment->image.pull_policy.empty()
                                       ? in_.default_image.pull_policy
                                       : in_.deployment->image.pull_policy;
    container["args"] = List({"--config", StrCat(kConfigDir, "/agent.yaml")});
    Json::Value port;
    port["name"] = "health";
    port["containerPort"] = 8080;
    port["protocol"] = "TCP";
    container["ports"].append(port);
    container["livenessProbe"] = Probe("/healthz", 10, 3);
    // A standby is ready as well: it has a session.
    container["readinessProbe"] = Probe("/readyz", 2, 3);
    container["resources"] = Resources();
    Json::Value& security = container["securityContext"];
    security["allowPrivilegeEscalation"] = false;
    security["readOnlyRootFilesystem"] = true;
    security["capabilities"]["drop"] = List({"ALL"});
    const std::pair<const char*, const char*> mounts[] = {
        {"config", kConfigDir}, {"bootstrap", kBootstrapDir}, {"identity", kIdentityDir}};
    for (const auto& [name, path] : mounts) {
      Json::Value mount;
      mount["name"] = name;
      mount["mountPath"] = path;
      if (std::string_view(name) != "identity") mount["readOnly"] = true;
      container["volumeMounts"].append(mount);
    }
    return container;
  }

  [[nodiscard]] Json::Value Volumes() const {
    Json::Value volumes;
    Json::Value config;
    config["name"] = "config";
    config["configMap"]["name"] = out_.name;
    Json::Value bootstrap;
    bootstrap["name"] = "bootstrap";
    bootstrap["secret"]["secretName"] = out_.BootstrapSecret();
    Json::Value identity;
    identity["name"] = "identity";
    identity["emptyDir"]["medium"] = "Memory";
    identity["emptyDir"]["sizeLimit"] = "1Mi";
    volumes.append(config);
    volumes.append(bootstrap);
    volumes.append(identity);
    return volumes;
  }

  [[nodiscard]] Json::Value Spread(const char* topology, bool hard) const {
    Json::Value spread;
    spread["maxSkew"] = 1;
    spread["topologyKey"] = topology;
    spread["whenUnsatisfiable"] = hard ? "DoNotSchedule" : "ScheduleAnyway";
    spread["labelSelector"]["matchLabels"][kAgentLabel] = in_.installation.Hash();
    return spread;
  }

  [[nodiscard]] Json::Value PodSpec() const {
    Json::Value pod;
    pod["serviceAccountName"] = out_.service_account;
    pod["securityContext"]["runAsNonRoot"] = true;
    pod["securityContext"]["runAsUser"] = 65532;
    pod["securityContext"]["runAsGroup"] = 65532;
    pod["securityContext"]["fsGroup"] = 65532;
    pod["securityContext"]["seccompProfile"]["type"] = "RuntimeDefault";
    pod["terminationGracePeriodSeconds"] = 10;
    pod["containers"].append(Container());
    pod["volumes"] = Volumes();
    for (const std::string& one : in_.deployment->image_pull_secrets) {
      Json::Value secret;
      secret["name"] = one;
      pod["imagePullSecrets"].append(secret);
    }
    if (!in_.deployment->priority_class_name.empty()) {
      pod["priorityClassName"] = in_.deployment->priority_class_name;
    }
    const Json::Value scheduling = Parsed(in_.deployment->scheduling_json);
    if (scheduling.isMember("nodeSelector")) pod["nodeSelector"] = scheduling["nodeSelector"];
    if (scheduling.isMember("tolerations")) pod["tolerations"] = scheduling["tolerations"];
    const bool hard = scheduling["zoneSpread"].asString() == "DoNotSchedule";
    pod["topologySpreadConstraints"].append(Spread("kubernetes.io/hostname", hard));
    pod["topologySpreadConstraints"].append(Spread("topology.kubernetes.io/zone", hard));
    return pod;
  }

  void AddDeployment(const Json::Value& pod) {
    Json::Value deployment;
    deployment["metadata"]["annotations"][kRevisionAnnotation] = out_.revision;
    Json::Value& spec = deployment["spec"];
    spec["replicas"] = in_.deployment->replicas;
    spec["revisionHistoryLimit"] = 2;
    spec["selector"]["matchLabels"][kAgentLabel] = in_.installation.Hash();
    spec["strategy"]["type"] = "RollingUpdate";
    spec["strategy"]["rollingUpdate"]["maxSurge"] = 1;
    spec["strategy"]["rollingUpdate"]["maxUnavailable"] = 0;
    spec["template"]["metadata"]["labels"] = PodLabels();
    spec["template"]["metadata"]["annotations"][kRevisionAnnotation] = out_.revision;
    spec["template"]["spec"] = pod;
    Add("apps/v1", "Deployment", std::move(deployment));
  }

  void AddDisruptionBudget() {
    if (in_.deployment->replicas < 2) return;
    Json::Value budget;
    budget["spec"]["minAvailable"] = 1;
    budget["spec"]["selector"]["matchLabels"][kAgentLabel] = in_.installation.Hash();
    Add("policy/v1", "PodDisruptionBudget", std::move(budget));
  }

  const RenderInput& in_;
  RenderedAgent out_;
};

Json::Value RuleJson(const PolicyRule& rule) {
  Json::Value out;
  out["apiGroups"] = List(rule.api_groups);
  out["resources"] = List(rule.resources);
  if (!rule.resource_names.empty()) out["resourceNames"] = List(rule.resource_names);
  out["verbs"] = List(rule.verbs);
  return out;
}

}  // namespace

absl::StatusOr<RenderedAgent> RenderAgent(const RenderInput& input) {
  if (input.account->access.existing_service_account.empty() && input.profile == nullptr) {
    return absl::InvalidArgumentError(StrCat("spec.access.profile: there is no profile \"",
                                             input.account->access.profile,
                                             "\" in the operator's configuration"));
  }
  return Renderer(input).Render();
}

RenderedObject RenderBootstrap(const RenderInput& input, const std::string& token,
                               const std::string& ca_pem, const std::string& expires) {
  return Renderer(input).Bootstrap(token, ca_pem, expires);
}

RenderedObject RenderProfile(const Profile& profile) {
  RenderedObject out{kRbac, "ClusterRole", "clusterroles", "", profile.cluster_role, {}};
  out.object["apiVersion"] = kRbac;
  out.object["kind"] = out.kind;
  out.object["metadata"]["name"] = out.name;
  out.object["metadata"]["labels"][kManagedByLabel] = kManagedBy;
  for (const PolicyRule& rule : profile.rules) out.object["rules"].append(RuleJson(rule));
  StampIntent(&out.object);
  return out;
}

RenderedObject RenderNamespace(const std::string& name, const std::string& owner) {
  RenderedObject out{"v1", "Namespace", "namespaces", "", name, {}};
  out.object["apiVersion"] = "v1";
  out.object["kind"] = out.kind;
  out.object["metadata"]["name"] = name;
  out.object["metadata"]["labels"][kManagedByLabel] = kManagedBy;
  out.object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted";
  out.object["metadata"]["annotations"][kOwnerAnnotation] = owner;
  StampIntent(&out.object);
  return out;
}

}  // namespace fairlead::op
