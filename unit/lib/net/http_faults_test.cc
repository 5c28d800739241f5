// HttpClient against servers that stall, die or refuse, over both protocols (operator-checklist
// T2, T3, T4).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/lib/net/client_scene.h"

namespace fairlead::net {
namespace {

using ::testing::HasSubstr;

// The parameter: HTTP/2, or HTTP/1.1 only.
class HttpFaultsTest : public ClientScene, public ::testing::WithParamInterface<bool> {
 protected:
  void BeginHere(fakes::FakeApiServerOptions server = {}) {
    server.http2 = GetParam();
    Begin(server);
  }
  // Takes requests and answers only their headers (`begun`), or nothing at all.
  void NeverAnswer(bool begun) {
    server_->SetHandler(
        [this, begun](const HttpRequest&, const std::shared_ptr<fakes::FakeReply>& reply) {
          if (begun) {
            reply->Headers(200, {});
            reply->Data("part");
          }
          kept_.push_back(reply);
        });
  }
  // Over HTTP/2 the next request may still go onto the dead connection, and end with it.
  bool ServesAgain(Lane lane = Lane::kCall) {
    RequestOptions options;
    options.lane = lane;
    return EndOf(Get(kGet, options)).ok() || EndOf(Get(kGet, options)).ok();
  }
  std::vector<std::shared_ptr<fakes::FakeReply>> kept_;
};
INSTANTIATE_TEST_SUITE_P(Protocols, HttpFaultsTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Http2" : "Http11"; });

TEST_P(HttpFaultsTest, AServerThatDoesNotShakeHandsEndsAtTheConnectDeadline) {
  options_.connect_timeout = base::milliseconds(150);
  BeginHere();
  server_->StallNew(fakes::FakeStall::kBeforeHandshake);
  const absl::Status end = EndOf(Get());
  EXPECT_EQ(end.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(end.ToString(), HasSubstr("in time"));
}

TEST_P(HttpFaultsTest, AServerSilentAfterTheHandshakeEndsInTime) {
  if (GetParam()) options_.connect_timeout = base::milliseconds(400);
  BeginHere();
  server_->StallNew(fakes::FakeStall::kAfterHandshake);
  const absl::Status end =
      EndOf(Get(kGet, {.first_byte_timeout = base::milliseconds(GetParam() ? 5000 : 400)}));
  if (GetParam()) {
    EXPECT_EQ(end.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(end.ToString(), HasSubstr("no connection"))
        << "before its SETTINGS nothing is sent";
  } else {
    EXPECT_EQ(end.code(), absl::StatusCode::kDeadlineExceeded);
  }
}

TEST_P(HttpFaultsTest, NoAnswerEndsAtTheFirstByteDeadlineAndTheNextRequestIsServed) {
  BeginHere();
  NeverAnswer(false);
  const absl::Status end = EndOf(Get("/never", {.first_byte_timeout = base::milliseconds(200)}));
  EXPECT_EQ(end.code(), absl::StatusCode::kDeadlineExceeded);
  server_->SetHandler(nullptr);
  EXPECT_TRUE(EndOf(Get()).ok());
}

TEST_P(HttpFaultsTest, AnAnswerThatStallsHalfWayEndsAtTheTotalDeadline) {
  BeginHere();
  NeverAnswer(true);
  Exchanged* get = Get("/half", {.total_timeout = base::milliseconds(300)});
  EXPECT_EQ(EndOf(get).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(signal_.Get([&] { return get->body; }), "part");
}

TEST_P(HttpFaultsTest, AWatchThatFallsSilentEndsAtItsIdleDeadline) {
  BeginHere();
  RequestOptions options;
  options.lane = Lane::kWatch;
  options.total_timeout = base::Duration::zero();
  options.idle_timeout = base::milliseconds(300);
  Exchanged* watch = Get(kWatch, options);
  Put("web");
  EXPECT_TRUE(Sees(watch, "\"web\""));
  EXPECT_EQ(EndOf(watch).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(HttpFaultsTest, AServerThatReadsNoBodyEndsTheUploadAtTheDeadline) {
  PingSoon();
  BeginHere();
  ASSERT_TRUE(EndOf(Get()).ok());
  server_->BlackHole();
  const std::string body(8'000'000, 'b');  // more than socket buffers take
  EXPECT_EQ(
      EndOf(Start({"POST", "/x", {}, body}, {.total_timeout = base::milliseconds(400)})).code(),
      absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(ServesAgain());
}

TEST_P(HttpFaultsTest, AServerKilledBetweenRequestsIsDialledAnew) {
  BeginHere();
  ASSERT_TRUE(EndOf(Get()).ok());
  server_->Kill();
  ASSERT_TRUE(signal_.Wait([&] { return server_->seen().connections == 0; }));
  // The pooled connection may be met before its end was noticed; it then fails at once, and nothing
  // hangs. The second try is on a new one.
  const absl::Status first = EndOf(Get());
  EXPECT_TRUE(first.ok() || first.code() == absl::StatusCode::kUnavailable) << first.ToString();
  EXPECT_TRUE(EndOf(Get()).ok());
  EXPECT_EQ(Seen().accepted, 2);
}

TEST_P(HttpFaultsTest, AHalfOpenPooledConnectionDoesNotHoldANewWatch) {
  PingSoon();
  BeginHere();
  RequestOptions short_watch;
  short_watch.lane = Lane::kWatch;
  ASSERT_TRUE(EndOf(Get(kGet, short_watch)).ok());  // its connection is pooled now
  server_->BlackHole();
  RequestOptions options;
  options.lane = Lane::kWatch;
  options.total_timeout = base::Duration::zero();
  options.first_byte_timeout = base::milliseconds(400);
  EXPECT_EQ(EndOf(Get(kWatch, options)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(ServesAgain(Lane::kWatch));
}

TEST_P(HttpFaultsTest, AWriteIsNeverSentAgain) {
  BeginHere();
  ASSERT_TRUE(EndOf(Get()).ok());
  server_->SetHandler([](const HttpRequest&, const std::shared_ptr<fakes::FakeReply>& reply) {
    reply->Reset();  // the request was read whole
  });
  EXPECT_EQ(EndOf(Start({"POST", "/api/v1/pods", {}, "{}"})).code(),
            absl::StatusCode::kUnavailable);
  server_->SetHandler(nullptr);
  EXPECT_TRUE(EndOf(Get()).ok());
  EXPECT_EQ(Seen().Count("POST /api/v1/pods"), 1);
}

TEST_P(HttpFaultsTest, RefusalsAreAnswersAndAreNotTriedAgain) {
  BeginHere();
  server_->Do([](fakes::FakeKube& kube) {
    kube.Inject("kube-system",
                {.status = 503, .reason = "ServiceUnavailable", .retry_after_seconds = 1});
  });
  Exchanged* get = Get();
  EXPECT_TRUE(EndOf(get).ok());
  EXPECT_EQ(signal_.Get([&] { return get->status; }), 503);
  EXPECT_EQ(Seen().requests.size(), 1U);
}

TEST_P(HttpFaultsTest, CallsReuseTheirConnection) {
  BeginHere();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(EndOf(Get()).ok());
  EXPECT_EQ(Seen().accepted, 1);
}

TEST_P(HttpFaultsTest, TwentyWatchesAndACallWorkSideBySide) {
  BeginHere();
  std::vector<Exchanged*> watches;
  for (int i = 0; i < 20; ++i) watches.push_back(Watch());
  for (Exchanged* watch : watches) ASSERT_TRUE(Opened(watch));
  EXPECT_TRUE(EndOf(Get()).ok());
  Put("web");
  for (Exchanged* watch : watches) EXPECT_TRUE(Sees(watch, "\"web\""));
  EXPECT_EQ(Seen().accepted, GetParam() ? 2 : 21);
}

TEST_P(HttpFaultsTest, AServerThatWantsAClientCertificateGetsIt) {
  BeginHere({.client_certificates = true});
  EXPECT_EQ(EndOf(Get()).code(), absl::StatusCode::kUnavailable);
  const KeyAndCertificate mine = server_->ClientCertificate();
  options_.certificate_pem = mine.certificate_pem;
  options_.key_pem = mine.key_pem;
  OnClient([&] { client_ = *MakeHttpClient(options_, &loop_); });
  EXPECT_TRUE(EndOf(Get()).ok());
}

TEST_P(HttpFaultsTest, AServerOfAnotherCaIsRefused) {
  CertificateSpec other;
  other.common_name = "other";
  other.ca = true;
  other.lifetime_seconds = 86400;
  options_.ca_pem = SelfSigned(other)->certificate_pem;
  BeginHere();
  const absl::Status end = EndOf(Get());
  EXPECT_EQ(end.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(end.ToString(), HasSubstr("certificate was not accepted"));
  EXPECT_TRUE(Seen().requests.empty());
}

}  // namespace
}  // namespace fairlead::net
