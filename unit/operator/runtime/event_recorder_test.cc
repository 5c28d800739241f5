#include "operator/runtime/event_recorder.h"

#include <gtest/gtest.h>

#include <future>

#include "lib/base/strings.h"
#include "unit/operator/runtime/fake_clusters.h"

namespace fairlead::op {
namespace {

class EventRecorderTest : public ::testing::Test {
 protected:
  void Script(const fakes::FakeHub::Script& script) {
    clusters_.On([&] { hub_.set_script(script); });
  }
  static Event Of(const std::string& uid) {
    return {{"fairlead.dev/v1alpha1", "ClusterAccount", "s", "prod", uid}, false, "Why", "Do", "n"};
  }

  fakes::FakeHub hub_{"hub"};
  metrics::Registry metrics_;
  FakeClusters clusters_;
};

TEST_F(EventRecorderTest, EqualEventsAreOneObjectWithASeries) {
  std::promise<void> created, patched;
  Script([&](const net::HttpRequest& request) {
    (request.method == "POST" ? created : patched).set_value();
    return fakes::FakeHub::Fate{};
  });
  EventRecorder recorder(clusters_.Reach(&hub_, "hub", FakeClusters::Options()), "pod-1",
                         &metrics_);
  recorder.Record(Of("u"));
  recorder.Start();
  // The next one comes when the first is written; the one after that waits for the refresh.
  ASSERT_EQ(created.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  recorder.Record(Of("u"));
  ASSERT_EQ(patched.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  recorder.Stop();
  std::vector<Json::Value> events;
  clusters_.On([&] { events = hub_.List("events"); });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0]["series"]["count"], 2);
  EXPECT_EQ(events[0]["reason"], "Why");
}

TEST_F(EventRecorderTest, AServerThatNeverAnswersHoldsUpNobodyAndMemoryIsBounded) {
  Script([](const net::HttpRequest&) { return fakes::FakeHub::Fate{.never = true}; });
  ClusterClient::Options options;
  options.timeout = base::milliseconds(50);
  EventRecorder recorder(clusters_.Reach(&hub_, "hub", options), "pod-1", &metrics_);
  recorder.Start();
  for (int i = 0; i < 5000; ++i) recorder.Record(Of(base::StrCat(i)));
  recorder.Stop();
  EXPECT_EQ(
      metrics_
          .GetCounter("fairlead_operator_events_dropped_total", "Events that were never written")
          .Value(),
      4000);
}

}  // namespace
}  // namespace fairlead::op
