#include "agent/account/position.h"

#include <algorithm>

namespace fairlead::agent {

kube::Position PositionOf(const v1::Position& from) {
  kube::Position position;
  position.history = from.history();
  position.resource_version = from.resource_version();
  position.count = from.count() - std::min(from.held(), from.count());
  for (const v1::Anchor& anchor : from.anchors()) {
    position.anchors.push_back({anchor.name_space(), anchor.name(), anchor.uid(),
                                anchor.resource_version(), from.anchors_at_position()});
  }
  return position;
}

void AddAnchors(const std::vector<kube::Anchor>& anchors, v1::Checkpoint* checkpoint) {
  for (const kube::Anchor& one : anchors) {
    v1::Anchor* anchor = checkpoint->add_anchors();
    anchor->set_name_space(one.name_space);
    anchor->set_name(one.name);
    anchor->set_uid(one.uid);
    anchor->set_resource_version(one.resource_version);
  }
}

}  // namespace fairlead::agent
