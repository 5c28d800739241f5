#include "agent/account/api_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "unit/fakes/manual_loop.h"

namespace fairlead::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Keeps what was started and lets the test answer.
class Server : public net::HttpTransport {
 public:
  struct Stream : net::HttpStream {
    explicit Stream(Server* owner) : owner(owner) {}
    ~Stream() override { ++owner->ended; }
    void Pause() override { owner->paused = true; }
    void Resume() override { owner->paused = false; }
    Server* owner;
  };
  std::unique_ptr<net::HttpStream> Start(net::HttpRequest request, const net::RequestOptions&,
                                         net::ResponseHandler* handler) override {
    requests.push_back(std::move(request));
    handlers.push_back(handler);
    return std::make_unique<Stream>(this);
  }
  std::vector<net::HttpRequest> requests;
  std::vector<net::ResponseHandler*> handlers;
  bool paused = false;
  int ended = 0;
};

class ApiCallsTest : public ::testing::Test {
 protected:
  static v1::ApiRequest Request(
      const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    v1::ApiRequest request;
    request.set_method("PATCH");
    request.set_target("/api/v1/namespaces/shop/configmaps/one?fieldManager=kubectl");
    request.set_credit(100);
    for (const auto& [name, value] : headers) {
      v1::Header* header = request.add_headers();
      header->set_name(name);
      header->set_value(value);
    }
    return request;
  }
  void Start(const v1::ApiRequest& request, uint64_t call = 1) {
    calls_.Start(call, request, "{}",
                 {{"authorization", "Bearer own"}, {"accept", "application/json"}},
                 {[this](v1::ApiHead head) { head_ = std::move(head); },
                  [this](std::string data) { data_ += data; },
                  [this](const absl::Status& status) { end_ = status; }});
    loop_.Run();
  }
  net::ResponseHandler& answer() { return *server_.handlers.back(); }

  fakes::ManualLoop loop_;
  Server server_;
  ApiCalls calls_{&server_, &loop_};
  std::optional<v1::ApiHead> head_;
  std::string data_;
  std::optional<absl::Status> end_;
};

TEST_F(ApiCallsTest, ARequestGoesWithTheAccountsOwnCredentials) {
  Start(Request({{"content-type", "application/merge-patch+json"},
                 {"accept", "application/yaml"},
                 {"authorization", "Bearer stolen"},
                 {"impersonate-user", "admin"},
                 {"impersonate-extra-x", "y"},
                 {"host", "evil"},
                 {"connection", "upgrade"},
                 {"upgrade", "SPDY/3.1"},
                 {"transfer-encoding", "chunked"}}));
  ASSERT_EQ(server_.requests.size(), 1U);
  EXPECT_EQ(server_.requests[0].method, "PATCH");
  EXPECT_EQ(server_.requests[0].target, Request().target());
  EXPECT_EQ(server_.requests[0].body, "{}");
  EXPECT_THAT(server_.requests[0].headers,
              UnorderedElementsAre(Pair("content-type", "application/merge-patch+json"),
                                   Pair("accept", "application/yaml"),
                                   Pair("authorization", "Bearer own")));
}

TEST_F(ApiCallsTest, TheAnswerIsToldAsItComes) {
  Start(Request());
  answer().OnHeaders(
      201, {{"content-type", "application/json"}, {"set-cookie", "x"}, {"connection", "close"}});
  ASSERT_TRUE(head_.has_value());
  EXPECT_EQ(head_->status(), 201U);
  ASSERT_EQ(head_->headers_size(), 1);
  answer().OnData("ab");
  answer().OnData("c");
  EXPECT_EQ(data_, "abc");
  answer().OnEnd(absl::OkStatus());
  EXPECT_EQ(end_, absl::OkStatus());
  loop_.Run();
  EXPECT_EQ(server_.ended, 1);
}

TEST_F(ApiCallsTest, BeyondTheCreditTheAnswerIsPaused) {
  Start(Request());
  answer().OnHeaders(200, {});
  answer().OnData(std::string(99, 'x'));
  EXPECT_FALSE(server_.paused);
  answer().OnData(std::string(10, 'x'));
  EXPECT_TRUE(server_.paused);
  calls_.Credit(1, 109);
  EXPECT_TRUE(server_.paused) << "all of it was told";
  calls_.Credit(1, 110);
  EXPECT_FALSE(server_.paused);
}

TEST_F(ApiCallsTest, ACancelledCallIsHeardOfNoMore) {
  Start(Request());
  calls_.Cancel(1);
  EXPECT_EQ(server_.ended, 1);
  EXPECT_FALSE(end_.has_value());
}

TEST_F(ApiCallsTest, WhatIsNoPathIsNotSent) {
  for (const char* target : {"", "api", "/api v1", "/api\r\nx: y", "http://evil/api"}) {
    v1::ApiRequest request = Request();
    request.set_target(target);
    end_.reset();
    Start(request);
    ASSERT_TRUE(end_.has_value()) << target;
    EXPECT_EQ(end_->code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(server_.requests, IsEmpty());
}

TEST_F(ApiCallsTest, TooManyAtATimeAreRefused) {
  for (uint64_t call = 1; call <= ApiCalls::kMostCalls; ++call) Start(Request(), call);
  EXPECT_FALSE(end_.has_value());
  Start(Request(), 9999);
  ASSERT_TRUE(end_.has_value());
  EXPECT_EQ(end_->code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace fairlead::agent
