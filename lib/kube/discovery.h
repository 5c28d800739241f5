#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/kube/resource.h"

namespace fairlead::kube {

// Asked with this, /api and /apis answer with everything at once: v2 from Kubernetes 1.30 on, the
// same document as v2beta1 from 1.26 on.
inline constexpr char kDiscoveryAccept[] =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

struct Discovery {
  // Resources that can be listed and watched, each in its group's preferred version that has it.
  std::vector<ResourceType> resources;
  // Groups the server could not describe now ("Stale"): nothing follows from what they lack.
  std::vector<std::string> unknown_groups;
};

// Adds the answer to GET /api or GET /apis. Error: not an APIGroupDiscoveryList.
absl::Status ParseDiscovery(std::string_view json, Discovery* out);

}  // namespace fairlead::kube
