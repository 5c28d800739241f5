#include "endpoint/gateway/relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "unit/fakes/manual_loop.h"

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A client that takes what it is given when the test says so.
struct Client : net::HttpResponder {
  using HttpResponder::Begin;
  using HttpResponder::Send;
  void Send(int code, const net::Headers& given, std::string text) override {
    status = code;
    headers = given;
    body = std::move(text);
    ended = true;
  }
  void Begin(int code, const net::Headers& given) override {
    status = code;
    headers = given;
  }
  void Write(std::string data) override {
    queued += data.size();
    body += data;
  }
  void End() override { ended = true; }
  [[nodiscard]] size_t QueuedBytes() const override { return queued; }
  void OnDrain(std::function<void()> told) override { drained = std::move(told); }
  [[nodiscard]] bool closed() const override { return gone; }
  void Take(size_t bytes) {
    queued -= bytes;
    drained();
  }
  int status = 0;
  net::Headers headers;
  std::string body;
  size_t queued = 0;
  bool ended = false;
  bool gone = false;
  std::function<void()> drained;
};

class RelayTest : public ::testing::Test, public ApiRoute {
 protected:
  uint64_t StartCall(const base::U128&, ApiRequest request,
                     std::shared_ptr<ApiListener> listener) override {
    request_ = std::move(request);
    listener_ = std::move(listener);
    return 7;
  }
  void CreditCall(uint64_t call, uint64_t total) override {
    EXPECT_EQ(call, 7U);
    credits_.push_back(total);
  }
  void CancelCall(uint64_t call) override { cancelled_.push_back(call); }
  void Start() {
    Relay::Start(this, &loop_, {0, 1}, {"GET", "/api", {}, "", 0}, client_);
    loop_.Run();
  }
  void Head(uint32_t status, const std::string& type = "application/json") {
    agent::v1::ApiHead head;
    head.set_status(status);
    for (const auto& [name, value] : {std::pair{"content-type", type},
                                      {"content-length", std::string("3")},
                                      {"etag", std::string("e")}}) {
      agent::v1::Header* header = head.add_headers();
      header->set_name(name);
      header->set_value(value);
    }
    listener_->OnHead(head);
  }

  fakes::ManualLoop loop_;
  std::shared_ptr<Client> client_ = std::make_shared<Client>();
  ApiRequest request_;
  std::shared_ptr<ApiListener> listener_;
  std::vector<uint64_t> credits_;
  std::vector<uint64_t> cancelled_;
};

TEST_F(RelayTest, WhatTheClusterAnswersIsWhatTheClientReads) {
  Start();
  Head(201);
  listener_->OnData("ab");
  listener_->OnData("c");
  EXPECT_FALSE(client_->ended);
  listener_->OnEnd(absl::OkStatus());
  EXPECT_EQ(client_->status, 201);
  EXPECT_EQ(client_->body, "abc");
  EXPECT_TRUE(client_->ended);
  EXPECT_EQ(net::FindHeader(client_->headers, "content-type"), "application/json");
  EXPECT_EQ(net::FindHeader(client_->headers, "content-length"), "") << "its pieces tell";
}

TEST_F(RelayTest, AnAnswerWithoutABodyKeepsItsHeaders) {
  Start();
  Head(304);
  listener_->OnEnd(absl::OkStatus());
  EXPECT_EQ(client_->status, 304);
  EXPECT_EQ(net::FindHeader(client_->headers, "etag"), "e");
  EXPECT_TRUE(client_->ended);
}

TEST_F(RelayTest, AnAnswerThatNeverCameIsAStatusOfTheApi) {
  Start();
  listener_->OnEnd(absl::UnavailableError("no agent of the account is connected"));
  EXPECT_EQ(client_->status, 503);
  EXPECT_THAT(client_->body, HasSubstr(R"("reason":"ServiceUnavailable")"));
  EXPECT_THAT(client_->body, HasSubstr("no agent of the account is connected"));
  EXPECT_EQ(net::FindHeader(client_->headers, "retry-after"), "") << "kubectl would try ten times";
}

TEST_F(RelayTest, AnAnswerThatBrokeOffDoesNotLookWhole) {
  Start();
  Head(200);
  listener_->OnData("half");
  listener_->OnEnd(absl::UnavailableError("the agent's session ended"));
  EXPECT_FALSE(client_->ended) << "the connection is cut when the last reference goes";
  listener_.reset();
  EXPECT_EQ(client_.use_count(), 1);
}

TEST_F(RelayTest, CreditIsWhatTheClientTook) {
  Start();
  EXPECT_EQ(request_.credit, Relay::kWindow);
  Head(200);
  listener_->OnData(std::string(Relay::kWindow, 'x'));
  client_->Take(Relay::kWindow / 8);
  loop_.Run();
  EXPECT_THAT(credits_, IsEmpty()) << "not for every little";
  client_->Take(Relay::kWindow / 8);
  loop_.Run();
  EXPECT_THAT(credits_, ElementsAre(Relay::kWindow + Relay::kWindow / 4));
}

TEST_F(RelayTest, AnAgentThatSendsFarMoreThanItsCreditIsCutOff) {
  Start();
  Head(200);
  listener_->OnData(std::string(2 * Relay::kWindow, 'x'));
  EXPECT_THAT(cancelled_, IsEmpty());
  listener_->OnData("x");
  EXPECT_THAT(cancelled_, ElementsAre(7U));
  EXPECT_EQ(client_->body.size(), 2 * Relay::kWindow);
  EXPECT_FALSE(client_->ended) << "it does not look whole";
}

TEST_F(RelayTest, AClientThatWentEndsTheCall) {
  Start();
  Head(200);
  client_->gone = true;
  client_->drained();
  loop_.Run();
  EXPECT_THAT(cancelled_, ElementsAre(7U));
  client_->drained();
  loop_.Run();
  EXPECT_THAT(cancelled_, ElementsAre(7U)) << "once";
}

TEST_F(RelayTest, NothingIsSentForAClientThatWentBefore) {
  client_->gone = true;
  Start();
  EXPECT_EQ(listener_, nullptr);
}

}  // namespace
}  // namespace fairlead::endpoint
