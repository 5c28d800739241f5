#include "endpoint/session/rescope.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "lib/kube/discovery.h"
#include "lib/kube/kinds.h"
#include "lib/wire/scope.h"

namespace fairlead::endpoint {

std::vector<std::pair<store::Kind, std::vector<std::string>>> Rescoped(
    const std::vector<store::Position>& positions, const agent::v1::Scope& scope) {
  using Resource = std::pair<std::string, std::string>;
  struct Watches {
    store::Kind kind;
    std::set<std::string> stored;
    std::set<std::string> wanted;
  };
  std::map<Resource, Watches> kinds;
  for (const store::Position& one : positions) {
    Watches& watches = kinds[{one.kind.group, one.kind.resource}];
    watches.kind = one.kind;
    watches.stored.insert(one.watch);
  }
  kube::Discovery stored;
  for (const auto& [resource, watches] : kinds) {
    const store::Kind& kind = watches.kind;
    stored.resources.push_back(
        {kind.group, kind.version, kind.resource, kind.kind, kind.namespaced});
  }
  for (const kube::WatchTargetSpec& one :
       kube::PlanWatches(wire::ScopeRulesOf(scope), stored).watches) {
    kinds[{one.type.group, one.type.resource}].wanted.insert(one.name_space);
  }
  std::vector<std::pair<store::Kind, std::vector<std::string>>> rescoped;
  for (auto& [resource, watches] : kinds) {
    const std::set<std::string>& wanted = watches.wanted;
    if (std::includes(wanted.begin(), wanted.end(), watches.stored.begin(), watches.stored.end())) {
      continue;
    }
    rescoped.emplace_back(watches.kind, std::vector<std::string>(wanted.begin(), wanted.end()));
  }
  return rescoped;
}

}  // namespace fairlead::endpoint
