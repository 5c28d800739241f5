#include "endpoint/session/refusals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const store::Kind kPods{"", "pods", "Pod", "v1", true};
const store::Kind kWidgets{"example.com", "widgets", "Widget", "v1", true};

store::Batch BatchOf(const store::Kind& kind, const std::string& name) {
  store::Batch batch;
  batch.kinds = {kind};
  store::Change change;
  change.name_space = "shop";
  change.name = name;
  batch.entries.emplace_back(change);
  return batch;
}

class RefusalsTest : public ::testing::Test {
 protected:
  RefusalsTest() {
    refusals_.Committed(
        {}, {{kPods, {"shop", "a"}, "too long"}, {kWidgets, {"shop", "b"}, "no such character"}});
  }
  Refusals refusals_;
};

TEST_F(RefusalsTest, NameTheObjectAndTheReason) {
  EXPECT_THAT(refusals_.Named(), ElementsAre("pods shop/a: too long",
                                             "widgets.example.com shop/b: no such character"));
}

TEST_F(RefusalsTest, EndWhenTheObjectIsStoredOrGone) {
  const auto in = refusals_.In(BatchOf(kPods, "a"));
  EXPECT_THAT(in, SizeIs(1));
  EXPECT_EQ(refusals_.count(), 2U) << "not before it is committed";
  refusals_.Committed(in, {});
  EXPECT_THAT(refusals_.Named(), ElementsAre("widgets.example.com shop/b: no such character"));
}

TEST_F(RefusalsTest, StayWhenItIsRefusedAgain) {
  refusals_.Committed(refusals_.In(BatchOf(kPods, "a")), {{kPods, {"shop", "a"}, "still"}});
  EXPECT_EQ(refusals_.Named().at(0), "pods shop/a: still");
}

TEST_F(RefusalsTest, OthersChangeNothing) {
  EXPECT_THAT(refusals_.In(BatchOf(kPods, "b")), IsEmpty());
  EXPECT_THAT(refusals_.In(BatchOf(kWidgets, "a")), IsEmpty());
}

TEST_F(RefusalsTest, AnItemOfAListEndsThemOnlyWithItsBody) {
  store::Batch batch;
  store::SnapshotItem item;
  item.name_space = "shop";
  item.name = "a";
  batch.entries.emplace_back(store::SnapshotPage{{}, {item}});
  EXPECT_THAT(refusals_.In(batch), IsEmpty());
  item.has_body = true;
  batch.entries.emplace_back(store::SnapshotPage{{}, {item}});
  EXPECT_THAT(refusals_.In(batch), SizeIs(1));
}

TEST_F(RefusalsTest, EndWhenAllOfTheKindIsProven) {
  refusals_.Proven(kPods);
  EXPECT_THAT(refusals_.Named(), SizeIs(1));
}

TEST_F(RefusalsTest, AreBounded) {
  for (size_t i = 0; i < 2 * Refusals::kMost; ++i) {
    refusals_.Committed({}, {{kPods, {"shop", std::to_string(i)}, std::string(10'000, 'x')}});
  }
  EXPECT_EQ(refusals_.count(), Refusals::kMost);
  EXPECT_THAT(refusals_.Named(), SizeIs(Refusals::kNamed));
  EXPECT_LT(refusals_.Named()[0].size(), 300U);
}

}  // namespace
}  // namespace fairlead::endpoint
