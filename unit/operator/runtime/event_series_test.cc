#include "operator/runtime/event_series.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/base/strings.h"

namespace fairlead::op {
namespace {

using Result = EventSeries::Result;

class EventSeriesTest : public ::testing::Test {
 protected:
  static Event Of(const std::string& reason, const std::string& uid = "u") {
    return {
        {"fairlead.dev/v1alpha1", "ClusterAccount", "s", "prod", uid}, true, reason, "Do", "why"};
  }
  void Add(const Event& event) { series_.Add(event, now_, base::StrCat("wall-", ++wall_)); }
  // Takes the next request and answers it.
  std::optional<EventSeries::Request> Serve(Result result = Result::kWritten) {
    auto request = series_.Next(now_);
    if (request) series_.Done(result, now_);
    return request;
  }
  int ServeAll() {
    int served = 0;
    while (Serve()) ++served;
    return served;
  }

  base::Time now_{base::hours(1)};
  int wall_ = 0;
  EventSeries series_{"pod-1", 1};
};

TEST_F(EventSeriesTest, TheFirstIsAnEventOfItsOwn) {
  Add(Of("NoAgent"));
  const auto request = Serve();
  ASSERT_TRUE(request && request->create);
  EXPECT_EQ(request->name_space, "s");
  const Json::Value& body = request->body;
  EXPECT_EQ(body["metadata"]["name"], request->name);
  EXPECT_EQ(body["reason"], "NoAgent");
  EXPECT_EQ(body["type"], "Warning");
  EXPECT_EQ(body["regarding"]["uid"], "u");
  EXPECT_EQ(body["eventTime"], "wall-1");
  EXPECT_EQ(body["reportingInstance"], "pod-1");
  EXPECT_FALSE(body.isMember("series"));
  EXPECT_FALSE(Serve()) << "once";
}

TEST_F(EventSeriesTest, ManyEqualOnesAreOneEventAndEverFewerPatches) {
  int created = 0, patched = 0;
  for (int i = 0; i < 4 * 3600; ++i, now_ += base::seconds(1)) {
    Add(Of("NoAgent"));
    while (const auto request = Serve()) ++(request->create ? created : patched);
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(series_.known(), 1u);
  EXPECT_LE(patched, 18) << "doubling to half an hour, then two an hour";
  now_ += base::minutes(6);
  const auto last = Serve();
  ASSERT_TRUE(last && !last->create);
  EXPECT_EQ(last->body[0]["path"], "/series");
  EXPECT_EQ(last->body[0]["value"]["count"], 4 * 3600);
}

TEST_F(EventSeriesTest, TheSecondIsToldAtOnceAndWhatFollowsAfterTenSeconds) {
  Add(Of("NoAgent"));
  Serve();
  Add(Of("NoAgent"));
  EXPECT_EQ(Serve()->body[0]["value"]["count"], 2);
  Add(Of("NoAgent"));
  now_ += base::milliseconds(9'999);
  Add(Of("NoAgent"));
  EXPECT_FALSE(Serve());
  now_ += base::milliseconds(1);
  EXPECT_EQ(Serve()->body[0]["value"]["count"], 4);
}

TEST_F(EventSeriesTest, AShortSeriesIsToldWholeWithinSecondsAndThenNothingIsWritten) {
  for (int i = 0; i < 5; ++i) {
    Add(Of("NoAgent"));
    ServeAll();
  }
  now_ += base::seconds(10);
  const auto last = Serve();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->body[0]["value"]["count"], 5);
  now_ += base::minutes(30);
  EXPECT_EQ(ServeAll(), 0);
  EXPECT_EQ(series_.known(), 0u);
}

TEST_F(EventSeriesTest, WhatComesWhileARequestIsUnderWayIsNotLost) {
  Add(Of("NoAgent"));
  ASSERT_TRUE(series_.Next(now_));
  Add(Of("NoAgent"));
  EXPECT_FALSE(series_.Next(now_)) << "one request at a time";
  series_.Done(Result::kWritten, now_);
  const auto patch = Serve();
  ASSERT_TRUE(patch && !patch->create);
  EXPECT_EQ(patch->body[0]["value"]["count"], 2);
}

TEST_F(EventSeriesTest, ASeriesIsClosedAfterSixMinutesOfSilence) {
  for (int i = 0; i < 5; ++i) Add(Of("NoAgent"));
  EXPECT_EQ(Serve()->body["series"]["count"], 5);
  EXPECT_EQ(*series_.NextWake(), now_ + base::minutes(6));
  now_ += base::minutes(6);
  EXPECT_FALSE(Serve());
  EXPECT_EQ(series_.known(), 0u);
  Add(Of("NoAgent"));
  EXPECT_TRUE(Serve()->create) << "a new one begins";
}

TEST_F(EventSeriesTest, OtherReasonsAndObjectsAreOtherEventsAndTheNoteIsNot) {
  Add(Of("NoAgent"));
  Add(Of("Registered"));
  Add(Of("NoAgent", "other"));
  Event same = Of("NoAgent");
  same.note = "something else";
  Add(same);
  EXPECT_EQ(series_.known(), 3u);
}

TEST_F(EventSeriesTest, ManyKindsAreBoundedAndWhatIsDroppedIsCounted) {
  for (int i = 0; i < 1500; ++i) Add(Of("NoAgent", base::StrCat(i)));
  EXPECT_EQ(series_.known(), EventSeries::kMostSeries);
  EXPECT_EQ(series_.dropped(), 500);
}

TEST_F(EventSeriesTest, AnEventThatCannotBeWrittenIsGivenUpAfterTwelveTries) {
  Add(Of("NoAgent"));
  int tries = 0;
  for (int i = 0; i < 100; ++i, now_ += base::seconds(10)) {
    if (Serve(Result::kFailed)) ++tries;
    if (series_.known() == 0) break;
  }
  EXPECT_EQ(tries, 12);
  EXPECT_EQ(series_.dropped(), 1);
}

TEST_F(EventSeriesTest, AFailureWaitsBeforeItIsTriedAgain) {
  Add(Of("NoAgent"));
  EXPECT_TRUE(Serve(Result::kFailed));
  EXPECT_FALSE(Serve());
  EXPECT_GE(*series_.NextWake(), now_ + base::seconds(5));
  now_ += base::seconds(10);
  EXPECT_TRUE(Serve());
}

TEST_F(EventSeriesTest, FailuresAreTriedAgainEverMoreSeldom) {
  Add(Of("NoAgent"));
  std::vector<base::Duration> waits;
  while (Serve(Result::kFailed) && series_.known() > 0) {
    waits.push_back(*series_.NextWake() - now_);
    now_ = *series_.NextWake();
  }
  ASSERT_EQ(waits.size(), 11u);
  base::Duration least = base::seconds(5);
  for (const base::Duration wait : waits) {
    EXPECT_GE(wait, least);
    EXPECT_LT(wait, 2 * least);
    least = std::min<base::Duration>(2 * least, base::minutes(1));
  }
}

TEST_F(EventSeriesTest, TheLastWordOfAClosedSeriesWaitsAfterAFailureAsAnyOther) {
  for (int i = 0; i < 3; ++i) {
    Add(Of("NoAgent"));
    ServeAll();
  }
  now_ += base::seconds(10);
  ASSERT_TRUE(Serve(Result::kFailed));
  now_ += base::minutes(6);
  int tries = 0;
  for (int i = 0; i < 60; ++i, now_ += base::seconds(1)) {
    if (!Serve(Result::kFailed)) continue;
    ++tries;
    EXPECT_FALSE(Serve(Result::kFailed));
    EXPECT_GE(*series_.NextWake(), now_ + base::seconds(10));
  }
  EXPECT_LE(tries, 3);
  now_ += base::minutes(2);
  EXPECT_EQ(Serve()->body[0]["value"]["count"], 3);
}

TEST_F(EventSeriesTest, ASeriesWhoseEventExpiredIsMadeAnew) {
  Add(Of("NoAgent"));
  Serve();
  Add(Of("NoAgent"));
  EXPECT_FALSE(Serve(Result::kGone)->create);
  const auto again = Serve();
  ASSERT_TRUE(again && again->create);
  EXPECT_EQ(again->body["series"]["count"], 2);
}

TEST_F(EventSeriesTest, TextsKeepTheServersBounds) {
  Event event = Of("NoAgent");
  event.note = std::string(1023, 'a') + "ü";
  event.regarding.name = std::string(253, 'n');
  event.regarding.name_space = "";
  Add(event);
  const auto request = Serve();
  EXPECT_EQ(request->body["note"], std::string(1023, 'a'));
  EXPECT_LE(request->name.size(), 253u);
  EXPECT_EQ(request->name_space, "default");
}

}  // namespace
}  // namespace fairlead::op
