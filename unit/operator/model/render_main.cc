// render-agent: what the operator renders for one installation, for tools/check/charts.py to
// compare the chart fairlead-agent with. Reads {"account", "deployment", "identity", "endpoints",
// "endpointName", "image", "profiles"} on stdin, the first two as the API server gives them; writes
// {"id", "bootstrapSecret", "objects", "clusterRoles"}.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "api/v1alpha1/types.h"
#include "lib/json/dom.h"
#include "operator/model/agent_objects.h"

namespace fairlead::op {
namespace {

std::vector<std::string> Strings(const Json::Value& list) {
  std::vector<std::string> out;
  for (const Json::Value& one : list) out.push_back(one.asString());
  return out;
}

std::vector<Profile> ProfilesOf(const Json::Value& from) {
  std::vector<Profile> profiles;
  for (const std::string& name : from.getMemberNames()) {
    Profile profile{name, "fairlead:agent:" + name, {}};
    for (const Json::Value& rule : from[name]) {
      profile.rules.push_back({Strings(rule["apiGroups"]), Strings(rule["resources"]),
                               Strings(rule["resourceNames"]), Strings(rule["verbs"])});
    }
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "render-agent: %s\n", status.ToString().c_str());
  return 1;
}

int Main() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto in = json::ParseJson(text);
  if (!in.ok()) return Fail(in.status());
  api::ClusterAccount account;
  api::AgentDeployment deployment;
  if (const auto s = api::ParseClusterAccount((*in)["account"], &account); !s.ok()) return Fail(s);
  if (const auto s = api::ParseAgentDeployment((*in)["deployment"], &deployment); !s.ok()) {
    return Fail(s);
  }
  const std::vector<Profile> profiles = ProfilesOf((*in)["profiles"]);
  RenderInput input;
  input.installation = {"hub", deployment.meta.uid, account.meta.uid};
  input.account = &account;
  input.deployment = &deployment;
  const Json::Value& image = (*in)["image"];
  input.default_image = {image["registry"].asString(), image["repository"].asString(),
                         image["tag"].asString(), image["digest"].asString(),
                         image["pullPolicy"].asString()};
  for (const Profile& one : profiles) {
    if (one.name == account.access.profile) input.profile = &one;
    if (one.name == kBaseProfile) input.base = &one;
  }
  input.endpoint_addresses = Strings((*in)["endpoints"]);
  input.endpoint_name = (*in)["endpointName"].asString();
  input.identity = (*in)["identity"].asString();
  const auto agent = RenderAgent(input);
  if (!agent.ok()) return Fail(agent.status());
  Json::Value out;
  out["id"] = input.installation.Hash();
  out["bootstrapSecret"] = agent->BootstrapSecret();
  for (const RenderedObject& one : agent->objects) out["objects"].append(one.object);
  for (const Profile& one : profiles) out["clusterRoles"].append(RenderProfile(one).object);
  std::puts(json::WriteJson(out).c_str());
  return 0;
}

}  // namespace
}  // namespace fairlead::op

int main() { return fairlead::op::Main(); }
