#pragma once

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/kube/kinds.h"

namespace fairlead::wire {

// A grant's scope as lib/kube plans watches by it.
[[nodiscard]] kube::ScopeRules ScopeRulesOf(const agent::v1::Scope& scope);

}  // namespace fairlead::wire
