// The stream over libcurl, against our own server on loopback.
#include "cli/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/net/http_server.h"
#include "lib/net/loop_thread.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

class ConnectionTest : public ::testing::Test, public net::HttpHandler {
 protected:
  void SetUp() override {
    loop_.Start();
    net::HttpServerOptions options;
    options.address = "127.0.0.1:0";
    server_ = *net::HttpServer::Start(options, this, &loop_);
    Settings settings;
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server_->port());
    connection_ = *Connection::Open(settings);
  }
  void TearDown() override {
    server_->Stop();
    loop_.Stop();
  }
  void Handle(const net::HttpServerRequest& request,
              std::shared_ptr<net::HttpResponder> responder) override {
    if (request.path == "/denied") {
      responder->Send(403, "application/json", R"({"error":{"message":"this role only reads"}})");
    } else if (request.path == "/large") {
      responder->Send(200, "text/plain", std::string(200'000, 'x'));
    } else if (request.path == "/html") {
      responder->Send(200, "text/html", "<html>");
    } else if (request.path == "/stream") {
      responder->Begin(200, "application/x-ndjson");
      responder->Write("one\n");
      responder->Write("two\n");
      responder->End();
    } else {
      responder->Send(200, "application/json", "{\"a\":1}");
    }
  }
  absl::Status Stream(const std::string& path, std::string* got) {
    return connection_->Stream(path, [got](std::string_view bytes) {
      *got += bytes;
      return absl::OkStatus();
    });
  }

  net::LoopThread loop_{"cli-test"};
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(ConnectionTest, AnAnswerIsItsObject) {
  const auto body = connection_->GetJson("/v1/x");
  ASSERT_TRUE(body.ok()) << body.status().ToString();
  EXPECT_EQ((*body)["a"], 1);
}

TEST_F(ConnectionTest, WhatIsNoAnswerOfAnEndpointIsSaidToBeNone) {
  EXPECT_THAT(std::string(connection_->GetJson("/html").status().message()),
              HasSubstr("does not answer as an endpoint of Fairlead does"));
}

TEST_F(ConnectionTest, AStreamIsGivenOnUntilItEnds) {
  std::string got;
  const absl::Status ended = Stream("/stream", &got);
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(got, "one\ntwo\n");
}

TEST_F(ConnectionTest, ADeniedStreamGivesNothingOnAndSaysWhy) {
  std::string got;
  const absl::Status denied = Stream("/denied", &got);
  EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(denied.message()), HasSubstr("this role only reads"));
  EXPECT_EQ(got, "");
}

// More than libcurl gives on at once.
TEST_F(ConnectionTest, TheReadersErrorEndsTheStream) {
  int calls = 0;
  const absl::Status ended = connection_->Stream("/large", [&calls](std::string_view) {
    return ++calls == 1 ? absl::InvalidArgumentError("no stream of accounts") : absl::OkStatus();
  });
  EXPECT_EQ(ended, absl::InvalidArgumentError("no stream of accounts"));
  EXPECT_EQ(calls, 1);
}

TEST(ConnectionOpen, AFileThatCannotBeUsedIsNamed) {
  Settings settings;
  settings.endpoint = "https://127.0.0.1:1";
  settings.ca_file = "/nonexistent/ca.crt";
  EXPECT_THAT(std::string(Connection::Open(settings).status().message()),
              HasSubstr("/nonexistent/ca.crt"));
}

}  // namespace
}  // namespace fairlead::cli
