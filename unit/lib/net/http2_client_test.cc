// HttpClient over HTTP/2 against a server that misbehaves (operator-checklist T1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "unit/lib/net/client_scene.h"

namespace fairlead::net {
namespace {

using ::testing::HasSubstr;

class Http2ClientTest : public ClientScene {
 protected:
  // Answers every request with `size` bytes.
  void AnswerWith(size_t size) {
    server_->SetHandler([size](const HttpRequest&, std::shared_ptr<fakes::FakeReply> reply) {
      reply->Headers(200, {});
      reply->Data(std::string(size, 'x'));
      reply->End();
    });
  }
};

TEST_F(Http2ClientTest, WatchesShareOneConnectionAndCallsHaveAnother) {
  Begin();
  Exchanged* first = Watch();
  ASSERT_TRUE(Opened(first));
  Exchanged* second = Watch();
  ASSERT_TRUE(Opened(second));
  Put("web");
  EXPECT_TRUE(Sees(first, "\"web\""));
  EXPECT_TRUE(Sees(second, "\"web\""));
  EXPECT_TRUE(EndOf(Get()).ok());
  EXPECT_TRUE(EndOf(Get()).ok());
  EXPECT_EQ(Seen().accepted, 2);
}

TEST_F(Http2ClientTest, ABlackHoledConnectionEndsWhatIsOnItAndIsReplaced) {
  PingSoon();
  Begin();
  Exchanged* watch = Watch();
  ASSERT_TRUE(Opened(watch));
  for (int i = 0; i < 5; ++i) Put("before-" + std::to_string(i));
  ASSERT_TRUE(Sees(watch, "before-4"));
  ASSERT_TRUE(EndOf(Get()).ok());
  const base::Time start = base::Clock::Real().Now();
  server_->BlackHole();
  Exchanged* stuck = Get();
  const absl::Status lost = EndOf(stuck);
  EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable) << lost.ToString();
  EXPECT_THAT(lost.ToString(), HasSubstr("no answer to a ping"));
  EXPECT_EQ(EndOf(watch).code(), absl::StatusCode::kUnavailable);
  const base::Duration took = base::Clock::Real().Now() - start;
  EXPECT_GE(took, options_.ping_timeout);
  EXPECT_LT(took, options_.ping_after + options_.ping_timeout + base::seconds(2));
  Exchanged* again = Watch();
  EXPECT_TRUE(EndOf(Get()).ok());
  Put("after");
  EXPECT_TRUE(Sees(again, "after"));
}

TEST_F(Http2ClientTest, AQuietConnectionThatAnswersPingsStays) {
  options_.ping_after = base::milliseconds(50);
  options_.ping_timeout = base::milliseconds(1500);
  Begin();
  Exchanged* watch = Watch();
  ASSERT_TRUE(Opened(watch));
  EXPECT_TRUE(signal_.Wait([&] { return server_->seen().pings >= 2; }));
  EXPECT_FALSE(Ended(watch));
  EXPECT_EQ(Seen().accepted, 1);
}

TEST_F(Http2ClientTest, AfterGoawayStreamsLiveOnAndNewOnesGoElsewhere) {
  Begin();
  Exchanged* first = Watch();
  ASSERT_TRUE(Opened(first));
  Exchanged* second = Watch();
  ASSERT_TRUE(Opened(second));
  server_->Goaway();
  Put("one");
  ASSERT_TRUE(Sees(first, "\"one\""));  // so GOAWAY has come
  Exchanged* third = Watch();
  ASSERT_TRUE(Opened(third));
  Put("two");
  EXPECT_TRUE(Sees(first, "\"two\""));
  EXPECT_TRUE(Sees(second, "\"two\""));
  EXPECT_TRUE(Sees(third, "\"two\""));
  EXPECT_EQ(Seen().accepted, 2);
  // Once its last stream ended, the old connection goes.
  OnClient([&] {
    first->stream.reset();
    second->stream.reset();
  });
  EXPECT_TRUE(signal_.Wait([&] { return server_->seen().connections == 1; }));
  EXPECT_FALSE(Ended(third));
}

TEST_F(Http2ClientTest, AServerOfEightStreamsCarriesTwentyWatchesOverThreeConnections) {
  Begin({.max_streams = 8});
  std::vector<Exchanged*> watches;
  OnClient([&] {
    for (int i = 0; i < 20; ++i) {
      exchanges_.push_back(std::make_unique<Exchanged>(&signal_));
      watches.push_back(exchanges_.back().get());
      RequestOptions options;
      options.lane = Lane::kWatch;
      options.total_timeout = base::Duration::zero();
      watches.back()->stream = client_->Start({"GET", kWatch, {}, ""}, options, watches.back());
    }
  });
  for (Exchanged* watch : watches) {
    EXPECT_TRUE(signal_.Wait([&] { return watch->status == 200 || watch->end; }));
    EXPECT_FALSE(Ended(watch)) << EndOf(watch).ToString();
  }
  EXPECT_EQ(Seen().accepted, 3);
  EXPECT_EQ(Seen().requests.size(), 20U) << "nothing was refused and asked again";
}

TEST_F(Http2ClientTest, ALimitLoweredMidLifeIsKeptAndWhatIsOpenStays) {
  Begin();
  std::vector<Exchanged*> watches;
  for (int i = 0; i < 12; ++i) watches.push_back(Watch());
  for (Exchanged* watch : watches) ASSERT_TRUE(Opened(watch));
  server_->SetMaxStreams(8);
  Put("one");
  for (Exchanged* watch : watches) ASSERT_TRUE(Sees(watch, "\"one\""));
  Exchanged* late = Watch();
  EXPECT_TRUE(Opened(late));
  for (Exchanged* watch : watches) EXPECT_FALSE(Ended(watch));
  EXPECT_EQ(Seen().accepted, 2);
}

TEST_F(Http2ClientTest, AResetStreamEndsAloneAndItsNeighboursGoOn) {
  Begin();
  Exchanged* doomed = Watch();
  ASSERT_TRUE(Opened(doomed));
  server_->ResetStreams(2);  // INTERNAL_ERROR
  EXPECT_EQ(EndOf(doomed).code(), absl::StatusCode::kUnavailable);
  Exchanged* next = Watch();
  Put("web");
  EXPECT_TRUE(Sees(next, "\"web\""));
  EXPECT_EQ(Seen().accepted, 1) << "the connection is still good";
}

TEST_F(Http2ClientTest, APausedStreamStopsItsSenderAndTheOthersGoOn) {
  Begin();
  constexpr size_t kSize = 20'000'000;
  AnswerWith(kSize);
  Exchanged* slow = nullptr;
  OnClient([&] {
    exchanges_.push_back(std::make_unique<Exchanged>(&signal_));
    slow = exchanges_.back().get();
    slow->stream = client_->Start({"GET", "/slow", {}, ""}, {}, slow);
    slow->stream->Pause();
  });
  // Five times the connection's window passes beside the stalled stream: it is always returned.
  Exchanged* fast = Get("/fast");
  ASSERT_TRUE(EndOf(fast).ok());
  EXPECT_EQ(signal_.Get([&] { return fast->body.size(); }), kSize);
  EXPECT_TRUE(signal_.Wait([&] { return slow->body.size() == 256U << 10; }));
  EXPECT_EQ(Seen().sent["/slow"], 256U << 10) << "one stream window, and not a byte more";
  EXPECT_EQ(Seen().accepted, 1);
  OnClient([&] { slow->stream->Resume(); });
  EXPECT_TRUE(EndOf(slow).ok());
  EXPECT_EQ(signal_.Get([&] { return slow->body.size(); }), kSize);
}

TEST_F(Http2ClientTest, CancelledStreamsReturnTheConnectionsWindow) {
  Begin();
  AnswerWith(1'000'000);
  for (int i = 0; i < 40; ++i) {  // each leaves up to 256 KiB in flight; the connection has 4 MiB
    Exchanged* dropped = Get("/dropped");
    ASSERT_TRUE(Opened(dropped));
    OnClient([&] { dropped->stream.reset(); });
  }
  Exchanged* last = Get("/last");
  EXPECT_TRUE(EndOf(last).ok());
  EXPECT_EQ(Seen().accepted, 1);
}

TEST_F(Http2ClientTest, FramesCutAtEveryByteAreTheSame) {
  Begin({.slice = 1});
  const std::string rest = "\"spec\":{\"text\":\"" + std::string(3000, 'y') + "\"}";
  Exchanged* watch = Watch();
  Put("web", rest);
  EXPECT_TRUE(Sees(watch, rest + "}}\n"));
  Exchanged* list = Get("/api/v1/pods");
  EXPECT_TRUE(EndOf(list).ok());
  EXPECT_TRUE(Sees(list, rest));
}

}  // namespace
}  // namespace fairlead::net
