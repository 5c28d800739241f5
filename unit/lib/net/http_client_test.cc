// HttpClient over TLS and HTTP/1.1 against our own server; HTTP/2 is in http2_session_test.cc and,
// against a real API server, in e2e.
#include "lib/net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "lib/base/strings.h"
#include "lib/net/http_server.h"
#include "lib/net/x509.h"

namespace fairlead::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Seen : ResponseHandler {
  explicit Seen(LoopThread* loop) : loop(loop) {}
  void OnHeaders(int code, const Headers&) override { status = code; }
  void OnData(std::string_view data) override { body += data; }
  void OnEnd(const absl::Status& why) override {
    end = why;
    loop->Quit();
  }
  LoopThread* loop;
  int status = 0;
  std::string body;
  std::optional<absl::Status> end;
};

class HttpClientTest : public ::testing::Test, public HttpHandler {
 protected:
  HttpClientTest() : server_loop_("server"), loop_("client") {
    dir_ =
        std::filesystem::temp_directory_path() / ("http_client_test." + std::to_string(getpid()));
    std::filesystem::create_directories(dir_);
    CertificateSpec ca;
    ca.common_name = "ca";
    ca.ca = true;
    ca.lifetime_seconds = 86400;
    ca_ = *SelfSigned(ca);
    CertificateSpec server;
    server.common_name = "server";
    server.server = true;
    server.dns = {"good.example"};
    server.ips = {"127.0.0.1"};
    server.lifetime_seconds = 86400;
    server_pair_ = *Issue(server, ca_);
    CertificateSpec client;
    client.common_name = "operator";
    client.client = true;
    client.uris = {"spiffe://test/role/operator"};
    client.lifetime_seconds = 86400;
    client_pair_ = *Issue(client, ca_);
    WriteFile("tls.crt", server_pair_.certificate_pem);
    WriteFile("tls.key", server_pair_.key_pem);
    WriteFile("ca.crt", ca_.certificate_pem);
    server_loop_.Start();
  }
  // Not in the destructor: a handler call under way would race with the change of the vptr.
  void TearDown() override {
    if (server_) server_->Stop();
    server_loop_.Stop();
    std::filesystem::remove_all(dir_);
  }
  void WriteFile(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }
  void StartServer(bool tls) {
    HttpServerOptions options;
    options.address = "127.0.0.1:0";
    if (tls) {
      options.certificate_file = dir_ / "tls.crt";
      options.key_file = dir_ / "tls.key";
      options.ca_file = dir_ / "ca.crt";
    }
    auto server = HttpServer::Start(options, this, &server_loop_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    options_.scheme = tls ? "https" : "http";
    options_.host = "127.0.0.1";
    options_.port = server_->port();
    options_.ca_pem = ca_.certificate_pem;
  }
  void Handle(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) override {
    uris_ = request.peer_uris;
    authority_ = FindHeader(request.headers, "host");
    if (request.path == "/never") {
      kept_.push_back(responder);
    } else if (request.path == "/cut") {
      responder->Begin(200, "text/plain");
      responder->Write("part");
    } else if (request.path == "/large") {
      responder->Send(200, "text/plain", std::string(1'400'000, 'x'));
    } else {
      responder->Send(200, "text/plain", request.method + request.body);
    }
  }
  Seen Get(const std::string& path, const RequestOptions& request_options = {}) {
    auto client = MakeHttpClient(options_, &loop_);
    EXPECT_TRUE(client.ok()) << client.status().ToString();
    Seen seen(&loop_);
    loop_.Post([&] { stream_ = (*client)->Start({"GET", path, {}, ""}, request_options, &seen); });
    loop_.Run();
    stream_.reset();
    return seen;
  }

  std::filesystem::path dir_;
  KeyAndCertificate ca_;
  KeyAndCertificate server_pair_;
  KeyAndCertificate client_pair_;
  LoopThread server_loop_;
  LoopThread loop_;
  std::unique_ptr<HttpServer> server_;
  HttpClientOptions options_;
  std::vector<std::string> uris_;
  std::string authority_;
  std::vector<std::shared_ptr<HttpResponder>> kept_;
  std::unique_ptr<HttpStream> stream_;
};

TEST_F(HttpClientTest, SpeaksHttp11OverTlsWithAClientCertificate) {
  StartServer(true);
  options_.certificate_pem = client_pair_.certificate_pem;
  options_.key_pem = client_pair_.key_pem;
  const Seen seen = Get("/x");
  EXPECT_TRUE(seen.end->ok()) << seen.end->ToString();
  EXPECT_EQ(seen.body, "GET");
  EXPECT_THAT(uris_, ElementsAre("spiffe://test/role/operator"));
}

TEST_F(HttpClientTest, ReadsALargeAnswer) {
  StartServer(true);
  EXPECT_EQ(Get("/large").body.size(), 1'400'000U);
}

TEST_F(HttpClientTest, TheServersNameIsVerified) {
  StartServer(true);
  options_.server_name = "good.example";
  EXPECT_TRUE(Get("/x").end->ok());
}

TEST_F(HttpClientTest, AnAddressIsDialledForANameThatTheServerHearsAndProves) {
  StartServer(true);
  options_.host = "good.example";
  options_.address = "127.0.0.1";
  EXPECT_EQ(Get("/x").status, 200);
  EXPECT_EQ(authority_, base::StrCat("good.example:", options_.port));
}

TEST_F(HttpClientTest, AnAddressProvesNothing) {
  StartServer(true);
  options_.host = "other.example";
  options_.address = "127.0.0.1";
  EXPECT_THAT(Get("/x").end->ToString(), HasSubstr("certificate was not accepted"));
}

TEST_F(HttpClientTest, PlainHttpIsRefusedByTheAddressAndNotByTheName) {
  options_.scheme = "http";
  options_.host = "localhost";
  options_.address = "192.0.2.1";
  EXPECT_EQ(MakeHttpClient(options_, &loop_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HttpClientTest, AnotherNameIsRefused) {
  StartServer(true);
  options_.server_name = "other.example";
  const Seen seen = Get("/x");
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(seen.end->ToString(), HasSubstr("certificate was not accepted"));
}

TEST_F(HttpClientTest, AnotherCaIsRefused) {
  StartServer(true);
  CertificateSpec other;
  other.common_name = "other";
  other.ca = true;
  other.lifetime_seconds = 86400;
  options_.ca_pem = SelfSigned(other)->certificate_pem;
  EXPECT_EQ(Get("/x").end->code(), absl::StatusCode::kUnavailable);
}

TEST_F(HttpClientTest, AClientCertificateOfAnotherCaIsRefused) {
  StartServer(true);
  CertificateSpec other;
  other.common_name = "other";
  other.ca = true;
  other.lifetime_seconds = 86400;
  const KeyAndCertificate stranger = *SelfSigned(other);
  options_.certificate_pem = stranger.certificate_pem;
  options_.key_pem = stranger.key_pem;
  EXPECT_FALSE(Get("/x").end->ok());
}

TEST_F(HttpClientTest, NoAnswerEndsAtItsDeadline) {
  StartServer(false);
  const Seen seen = Get("/never", {.first_byte_timeout = base::milliseconds(50)});
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HttpClientTest, ASilentStreamEndsAtItsDeadline) {
  StartServer(false);
  options_.http1_only = true;
  const Seen seen = Get("/never", {.total_timeout = base::milliseconds(50)});
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HttpClientTest, ACutAnswerIsUnavailable) {
  StartServer(false);
  const Seen seen = Get("/cut");
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kUnavailable);
}

TEST_F(HttpClientTest, AnUnreachableServerIsUnavailableAndNamed) {
  options_.scheme = "http";
  options_.host = "127.0.0.1";
  options_.port = 1;
  const Seen seen = Get("/x");
  EXPECT_EQ(seen.end->code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(seen.end->ToString(), HasSubstr("127.0.0.1:1"));
}

TEST_F(HttpClientTest, UnusableCertificatesAreRefusedAtOnce) {
  options_.ca_pem = "nonsense";
  EXPECT_EQ(MakeHttpClient(options_, &loop_).status().code(), absl::StatusCode::kInvalidArgument);
  options_.ca_pem = ca_.certificate_pem;
  options_.certificate_pem = client_pair_.certificate_pem;
  options_.key_pem = server_pair_.key_pem;
  EXPECT_EQ(MakeHttpClient(options_, &loop_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HttpClientTest, ManyExchangesShareAFewConnections) {
  StartServer(false);
  options_.max_connections = 4;
  auto client = *MakeHttpClient(options_, &loop_);
  std::vector<std::unique_ptr<Seen>> all;
  std::vector<std::unique_ptr<HttpStream>> streams;
  size_t done = 0;
  struct Counting : Seen {
    using Seen::Seen;
    size_t* done = nullptr;
    void OnEnd(const absl::Status& why) override {
      end = why;
      if (++*done == 100) loop->Quit();
    }
  };
  loop_.Post([&] {
    for (int i = 0; i < 100; ++i) {
      auto seen = std::make_unique<Counting>(&loop_);
      seen->done = &done;
      streams.push_back(client->Start({"POST", "/x", {}, std::to_string(i)}, {}, seen.get()));
      all.push_back(std::move(seen));
    }
  });
  loop_.Run();
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]->body, "POST" + std::to_string(i));
}

}  // namespace
}  // namespace fairlead::net
