#include "operator/runtime/event_recorder.h"

#include <gtest/gtest.h>

#include <future>

#include "lib/base/strings.h"
#include "unit/fakes/fake_hub.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::op {
namespace {

class EventRecorderTest : public ::testing::Test {
 protected:
  EventRecorderTest() {
    loop_.Start();
    ClusterClient::Options options;
    options.timeout = base::milliseconds(50);
    client_ = ClusterClient::Over(
        std::make_unique<fakes::MemoryTransport>(
            [this](const auto& request, auto reply) { hub_.Handle(request, reply); }, &loop_),
        "hub", kube::TokenSource("", ""), options, &loop_);
  }
  ~EventRecorderTest() override {
    client_.reset();
    On([] {});
    loop_.Stop();
  }
  void On(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  static Event Of(const std::string& uid) {
    return {{"fairlead.dev/v1alpha1", "ClusterAccount", "s", "prod", uid}, false, "Why", "Do", "n"};
  }

  fakes::FakeHub hub_{"hub"};
  metrics::Registry metrics_;
  net::LoopThread loop_{"test"};
  std::shared_ptr<ClusterClient> client_;
};

TEST_F(EventRecorderTest, EqualEventsAreOneObjectWithASeries) {
  std::promise<void> patched;
  On([&] {
    hub_.set_script([&](const net::HttpRequest& request) {
      if (request.method == "PATCH") patched.set_value();
      return fakes::FakeHub::Fate{};
    });
  });
  EventRecorder recorder(client_, "pod-1", &metrics_);
  recorder.Record(Of("u"));
  recorder.Start();
  // The next one comes when the first is written; the one after that waits for the refresh.
  for (std::vector<Json::Value> seen; seen.empty();) {
    On([&] { seen = hub_.List("events"); });
  }
  recorder.Record(Of("u"));
  ASSERT_EQ(patched.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
  recorder.Stop();
  std::vector<Json::Value> events;
  On([&] { events = hub_.List("events"); });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0]["series"]["count"], 2);
  EXPECT_EQ(events[0]["reason"], "Why");
}

TEST_F(EventRecorderTest, AServerThatNeverAnswersHoldsUpNobodyAndMemoryIsBounded) {
  On([&] {
    hub_.set_script([](const net::HttpRequest&) { return fakes::FakeHub::Fate{.never = true}; });
  });
  EventRecorder recorder(client_, "pod-1", &metrics_);
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
