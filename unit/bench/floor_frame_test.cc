#include "bench/floor_frame.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::bench {
namespace {

const FloorEvent kEvent{.type = "MODIFIED",
                        .name_space = "shop",
                        .name = "web",
                        .uid = "u-1",
                        .resource_version = "41",
                        .object = "{}"};

TEST(FloorFrame, EventsComeOutAsTheyWentInAndInOrder) {
  std::string payload;
  AppendFloorEvent(kEvent, &payload);
  FloorEvent second = kEvent;
  second.name = "";
  AppendFloorEvent(second, &payload);
  std::string_view rest = payload;
  FloorEvent event;
  ASSERT_TRUE(TakeFloorEvent(&rest, &event));
  EXPECT_EQ(event.type, "MODIFIED");
  EXPECT_EQ(event.name_space, "shop");
  EXPECT_EQ(event.name, "web");
  EXPECT_EQ(event.uid, "u-1");
  EXPECT_EQ(event.resource_version, "41");
  EXPECT_EQ(event.object, "{}");
  ASSERT_TRUE(TakeFloorEvent(&rest, &event));
  EXPECT_EQ(event.name, "");
  EXPECT_FALSE(TakeFloorEvent(&rest, &event));
  EXPECT_TRUE(rest.empty());
}

// bench/rivals/uplink.go writes the same by hand.
TEST(FloorFrame, EachFieldHasItsLengthBeforeItLittleEndian) {
  std::string payload;
  AppendFloorEvent(kEvent, &payload);
  EXPECT_EQ(payload.substr(0, 16), std::string("\x08\0\0\0MODIFIED\x04\0\0\0", 16));
}

TEST(FloorFrame, AnEventThatIsCutIsNone) {
  std::string payload;
  AppendFloorEvent(kEvent, &payload);
  for (size_t size = 0; size < payload.size(); ++size) {
    std::string_view rest(payload.data(), size);
    FloorEvent event;
    EXPECT_FALSE(TakeFloorEvent(&rest, &event)) << size;
  }
}

}  // namespace
}  // namespace fairlead::bench
