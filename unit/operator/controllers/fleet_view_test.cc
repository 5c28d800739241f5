#include "operator/controllers/fleet_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/operator/controllers/fake_endpoint.h"

namespace fairlead::op {
namespace {

using base::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FleetViewTest : public ::testing::Test {
 protected:
  FleetViewTest() {
    EXPECT_TRUE(client_.Put({"prod", "hub/a/b", "u", 1, "{}"}).ok());
    view_.Poll();
    changed_.clear();
  }
  FleetView::Live After(base::Duration time) {
    clock_.Advance(time);
    view_.Poll();
    return view_.Get("default", "prod").value_or(FleetView::Live{});
  }

  base::ManualClock clock_;
  FakeEndpoint endpoint_;
  EndpointClient client_{[this] { return endpoint_.Connect(); }};
  std::vector<std::string> changed_;
  FleetView view_{{{"default", &client_}},
                  [this](const std::string& name) { changed_.push_back(name); },
                  &clock_};
};

TEST_F(FleetViewTest, BecomingSyncedCountsAtOnce) {
  endpoint_.Serve("prod", "r1");
  endpoint_.Sync("prod", false);
  EXPECT_TRUE(After(seconds(2)).connected);
  EXPECT_FALSE(After(seconds(2)).synced);
  changed_.clear();
  endpoint_.Sync("prod", true);
  EXPECT_TRUE(After(seconds(2)).synced);
  EXPECT_THAT(changed_, ElementsAre("prod"));
}

TEST_F(FleetViewTest, LosingItCountsAfterAMinuteAndAShortLossIsNothing) {
  endpoint_.Serve("prod", "r1");
  EXPECT_TRUE(After(seconds(2)).synced);
  changed_.clear();
  endpoint_.Sync("prod", false);
  EXPECT_TRUE(After(seconds(58)).synced);
  endpoint_.Sync("prod", true);
  EXPECT_TRUE(After(seconds(2)).synced);
  endpoint_.Sync("prod", false);
  EXPECT_TRUE(After(seconds(59)).synced) << "the minute began anew";
  EXPECT_THAT(changed_, IsEmpty()) << "nothing is written for it";
  EXPECT_FALSE(After(seconds(1)).synced);
  EXPECT_TRUE(After(seconds(1)).connected);
  EXPECT_THAT(changed_, ElementsAre("prod"));
}

TEST_F(FleetViewTest, ObjectsThatAreRefusedAreToldAfterAMinuteAndAtOnceNoMore) {
  endpoint_.Serve("prod", "r1");
  EXPECT_EQ(After(seconds(2)).refused, "");
  changed_.clear();
  endpoint_.Refuse("prod", {"pods shop/a: too long", "pods shop/b: too long"});
  EXPECT_EQ(After(seconds(58)).refused, "");
  EXPECT_THAT(changed_, IsEmpty());
  EXPECT_EQ(After(seconds(2)).refused,
            "2 objects are refused: pods shop/a: too long; pods shop/b: too long");
  EXPECT_TRUE(After(seconds(1)).synced) << "what a rollout waits for";
  endpoint_.Refuse("prod", {});
  EXPECT_EQ(After(seconds(1)).refused, "");
  EXPECT_THAT(changed_, ElementsAre("prod", "prod"));
}

TEST_F(FleetViewTest, AnEndpointThatDoesNotAnswerChangesNothing) {
  endpoint_.Serve("prod", "r1");
  EXPECT_TRUE(After(seconds(2)).synced);
  endpoint_.script = [](const std::string&) { return FakeEndpoint::Fate::kLost; };
  EXPECT_TRUE(After(seconds(300)).synced);
}

}  // namespace
}  // namespace fairlead::op
