#pragma once

#include <string>
#include <utility>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/store/types.h"

namespace fairlead::endpoint {

// What has to be done to the rows before an agent goes on with them under another scope: for each
// kind of which a stored watch is not asked for any more, the watches that are. No agent tells of
// what it does not watch, so these rows would stay for ever; they go because the account's owner
// said so, and deletion protection has no say (invariant 4 is about absence).
//
// What a watch gives on, but not all of it (omitted namespaces, onlySpinnakerManaged), is left to
// that watch's next snapshot.
// Pure. Tests: unit/endpoint/session/rescope_test.cc.
[[nodiscard]] std::vector<std::pair<store::Kind, std::vector<std::string>>> Rescoped(
    const std::vector<store::Position>& positions, const agent::v1::Scope& scope);

}  // namespace fairlead::endpoint
