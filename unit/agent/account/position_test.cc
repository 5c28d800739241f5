#include "agent/account/position.h"

#include <gtest/gtest.h>

namespace fairlead::agent {
namespace {

// What one agent checkpoints is what the next one begins with.
TEST(Position, TheAnchorsOfACheckpointComeBackAsThoseOfThePosition) {
  v1::Checkpoint checkpoint;
  AddAnchors({{"shop", "web", "u", "40"}, {"", "node", "v", "7"}}, &checkpoint);
  v1::Position stored;
  stored.set_history(3);
  stored.set_resource_version("41");
  stored.set_count(9);
  stored.set_held(2);
  *stored.mutable_anchors() = checkpoint.anchors();
  EXPECT_FALSE(PositionOf(stored).anchors.at(0).at_position);
  stored.set_anchors_at_position(true);
  const kube::Position position = PositionOf(stored);
  EXPECT_EQ(position.history, 3U);
  EXPECT_EQ(position.resource_version, "41");
  EXPECT_EQ(position.count, 7U) << "what is held is not in the cluster";
  ASSERT_EQ(position.anchors.size(), 2U);
  EXPECT_EQ(position.anchors[0].name_space, "shop");
  EXPECT_EQ(position.anchors[1].name, "node");
  EXPECT_EQ(position.anchors[1].uid, "v");
  EXPECT_EQ(position.anchors[1].resource_version, "7");
  EXPECT_TRUE(position.anchors[1].at_position);
}

}  // namespace
}  // namespace fairlead::agent
