#include "endpoint/registry/account_spec.h"

#include <json/json.h>

#include <algorithm>
#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/base/suggest.h"
#include "lib/json/dom.h"

namespace fairlead::endpoint::registry {

namespace {

constexpr size_t kMostJson = size_t{256} << 10;
constexpr Json::ArrayIndex kMostItems = 10'000;
constexpr size_t kMostText = 253;

// Reads one object strictly; the first problem stays.
class Object {
 public:
  Object(const Json::Value& value, std::string path, absl::Status* problem)
      : value_(value), path_(std::move(path)), problem_(problem) {
    if (!value_.isNull() && !value_.isObject()) Fail("", "must be an object");
  }

  std::string Text(const char* key, bool required = false) {
    const Json::Value& value = Take(key);
    if (value.isNull()) {
      if (required) Fail(key, "is required");
      return "";
    }
    if (!value.isString() || value.asString().size() > kMostText) {
      Fail(key, "must be a text of at most 253 bytes");
      return "";
    }
    return value.asString();
  }
  // One of `words`; the first when absent and not required.
  std::string Word(const char* key, const std::vector<std::string>& words, bool required = false) {
    std::string text = Text(key, required);
    if (text.empty()) return words.front();
    if (std::find(words.begin(), words.end(), text) == words.end()) {
      Fail(key, base::StrCat("must be one of ", Joined(words)));
    }
    return text;
  }
  std::vector<std::string> Texts(const char* key) {
    std::vector<std::string> out;
    const Json::Value& list = Take(key);
    if (list.isNull()) return out;
    if (!list.isArray() || list.size() > kMostItems) {
      Fail(key, "must be a list of at most 10000 texts");
      return out;
    }
    for (const Json::Value& one : list) {
      if (!one.isString() || one.asString().empty() || one.asString().size() > kMostText) {
        Fail(key, "must hold texts of 1 to 253 bytes");
        return out;
      }
      out.push_back(one.asString());
    }
    return out;
  }
  bool Flag(const char* key, bool fallback) {
    const Json::Value& value = Take(key);
    if (value.isNull()) return fallback;
    if (!value.isBool()) Fail(key, "must be true or false");
    return value.isBool() && value.asBool();
  }
  uint64_t Number(const char* key, uint64_t fallback, uint64_t most) {
    const Json::Value& value = Take(key);
    if (value.isNull()) return fallback;
    if (!value.isUInt64() || value.asUInt64() > most) {
      Fail(key, base::StrCat("must be a whole number from 0 to ", most));
      return fallback;
    }
    return value.asUInt64();
  }
  Object Map(const char* key) { return {Take(key), base::StrCat(path_, key, "."), problem_}; }
  std::vector<Object> Maps(const char* key) {
    std::vector<Object> out;
    const Json::Value& list = Take(key);
    if (list.isNull()) return out;
    if (!list.isArray() || list.size() > kMostItems) {
      Fail(key, "must be a list of at most 10000 objects");
      return out;
    }
    for (Json::ArrayIndex i = 0; i < list.size(); ++i) {
      out.emplace_back(list[i], base::StrCat(path_, key, "[", i, "]."), problem_);
    }
    return out;
  }
  [[nodiscard]] bool absent() const { return value_.isNull(); }

  void Fail(std::string_view key, std::string_view why) {
    if (!problem_->ok()) return;
    std::string where = base::StrCat(path_, key);
    if (key.empty() && !where.empty()) where.pop_back();
    *problem_ = absl::InvalidArgumentError(base::StrCat(where.empty() ? "spec" : where, ": ", why));
  }
  // After everything was asked for.
  void Done() {
    if (!value_.isObject()) return;
    for (const std::string& key : value_.getMemberNames()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      // Before what it may have caused: a required key that is missing.
      *problem_ = absl::OkStatus();
      Fail(key, base::StrCat("unknown key; did you mean \"", base::Nearest(key, known_), "\"?"));
    }
  }

 private:
  const Json::Value& Take(const char* key) {
    known_.emplace_back(key);
    static const Json::Value kNull;
    return value_.isObject() ? value_[key] : kNull;
  }
  static std::string Joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += base::StrCat(out.empty() ? "" : ", ", word);
    return out;
  }

  Json::Value value_;
  std::string path_;
  absl::Status* problem_;
  std::vector<std::string> known_;
};

void ReadAccess(Object access, AccountSpec* spec) {
  spec->level_cluster = access.Word("level", {"Namespaces", "Cluster"}, true) == "Cluster";
  spec->access_namespaces = access.Texts("namespaces");
  if (!spec->level_cluster && spec->access_namespaces.empty()) {
    access.Fail("namespaces", "at least one with level Namespaces; an empty list never means all");
  }
  for (Object& one : access.Maps("assume")) {
    AssumeRule rule;
    rule.namespaces = one.Texts("namespaces");
    rule.service_account = one.Text("serviceAccount", true);
    one.Done();
    spec->assume.push_back(std::move(rule));
  }
  access.Text("profile");
  access.Text("existingServiceAccount");
  access.Done();
}

void ReadScope(Object scope, AccountSpec* spec) {
  spec->namespaces = scope.Texts("namespaces");
  spec->omit_namespaces = scope.Texts("omitNamespaces");
  spec->kinds = scope.Texts("kinds");
  spec->omit_kinds = scope.Texts("omitKinds");
  for (Object& one : scope.Maps("customResources")) {
    CustomResource resource;
    resource.kubernetes_kind = one.Text("kubernetesKind", true);
    resource.namespaced = one.Flag("namespaced", true);
    one.Done();
    spec->custom_resources.push_back(std::move(resource));
  }
  spec->cluster_scoped = scope.Word("clusterScoped", {"Watch", "Ignore"}) == "Watch";
  spec->only_spinnaker_managed = scope.Flag("onlySpinnakerManaged", false);
  spec->keep_secret_data = scope.Word("secretData", {"Drop", "Keep"}) == "Keep";
  scope.Done();
}

}  // namespace

absl::StatusOr<AccountSpec> ParseAccountSpec(std::string_view text) {
  if (text.size() > kMostJson) return absl::InvalidArgumentError("spec: larger than 256 KiB");
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value root, json::ParseJson(text));
  absl::Status problem;
  AccountSpec spec;
  Object top(root, "", &problem);
  spec.environment = top.Text("environment");
  spec.identities = top.Texts("identities");
  if (spec.identities.empty()) top.Fail("identities", "at least one agent identity");
  spec.pinned_cluster_uid = top.Text("pinnedClusterUid");
  ReadAccess(top.Map("access"), &spec);
  ReadScope(top.Map("scope"), &spec);
  Object permissions = top.Map("permissions");
  if (!permissions.absent()) {
    spec.restricted =
        permissions.Word("mode", {"Restricted", "Unrestricted"}, true) == "Restricted";
    spec.read = permissions.Texts("read");
    spec.write = permissions.Texts("write");
    permissions.Done();
  }
  Object protection = top.Map("deletionProtection");
  spec.max_delete_percent = static_cast<uint32_t>(protection.Number("maxPercent", 30, 100));
  spec.max_delete_count = protection.Number("maxCount", 500, 100'000'000);
  protection.Done();
  spec.kubeconfig_secret = top.Text("kubeconfigSecret");
  spec.paused = top.Flag("paused", false);
  top.Done();
  if (!problem.ok()) return problem;
  return spec;
}

bool ValidAccountName(std::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return letter(name[0]) && std::all_of(name.begin(), name.end(),
                                        [&](char c) { return letter(c) || c == '_' || c == '-'; });
}

}  // namespace fairlead::endpoint::registry
