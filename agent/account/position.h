#pragma once

#include <optional>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/kube/watch_types.h"

// A watch's position between the wire and the watch machine.
namespace fairlead::agent {

kube::Position PositionOf(const fairlead::agent::v1::Position& from);
void AddAnchors(const std::vector<kube::Anchor>& anchors,
                fairlead::agent::v1::Checkpoint* checkpoint);

}  // namespace fairlead::agent
