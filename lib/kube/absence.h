#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/discovery.h"
#include "lib/kube/resource.h"

// How a kind whose definition was deleted is told from one that cannot be seen now (DESIGN section
// 2, invariant 4). Pure.
//
// That discovery lacks it proves nothing: the server may have just started, or the group's own
// server may be away. Proof is a quorum list of CustomResourceDefinitions of exactly that name that
// is empty, while no APIService sends the group to another server.
namespace fairlead::kube {

// Whether discovery lacks a kind that only a CustomResourceDefinition can have made, and knows
// everything of its group.
bool Unserved(const ResourceType& type, const Discovery& discovery);

// Requests, in this order; only an answer with status 200 is an answer.
std::string DefinitionTarget(const ResourceType& type);
std::string ApiServicesTarget();

// The version at which the definition was gone; nullopt: not proven.
std::optional<std::string> ProvenGone(const ResourceType& type, std::string_view definitions,
                                      std::string_view api_services);

}  // namespace fairlead::kube
