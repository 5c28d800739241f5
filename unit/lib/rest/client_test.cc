// The client over TLS against our own server, on loopback.
#include "lib/rest/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lib/net/http_server.h"
#include "lib/net/loop_thread.h"
#include "lib/net/x509.h"

namespace fairlead::rest {
namespace {

using ::testing::ElementsAre;

net::KeyAndCertificate NewCa(const std::string& name) {
  net::CertificateSpec spec;
  spec.common_name = name;
  spec.ca = true;
  spec.lifetime_seconds = 86400;
  return *net::SelfSigned(spec);
}

class ClientTest : public ::testing::Test, public net::HttpHandler {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("rest_client." + std::to_string(getpid()));
    std::filesystem::create_directories(dir_);
    loop_.Start();
    StartServer("127.0.0.1");
    net::CertificateSpec spec;
    spec.common_name = "operator";
    spec.client = true;
    spec.uris = {"spiffe://test/role/operator"};
    spec.lifetime_seconds = 86400;
    const net::KeyAndCertificate mine = *net::Issue(spec, ca_);
    options_.certificate_pem = mine.certificate_pem;
    options_.key_pem = mine.key_pem;
  }
  void TearDown() override {
    server_->Stop();
    loop_.Stop();
    std::filesystem::remove_all(dir_);
  }
  void StartServer(const std::string& certified_ip) {
    net::CertificateSpec spec;
    spec.common_name = "server";
    spec.server = true;
    spec.ips = {certified_ip};
    spec.lifetime_seconds = 86400;
    const net::KeyAndCertificate pair = *net::Issue(spec, ca_);
    std::ofstream(dir_ / "tls.crt") << pair.certificate_pem;
    std::ofstream(dir_ / "tls.key") << pair.key_pem;
    std::ofstream(dir_ / "ca.crt") << ca_.certificate_pem;
    net::HttpServerOptions options;
    options.address = "127.0.0.1:0";
    options.certificate_file = dir_ / "tls.crt";
    options.key_file = dir_ / "tls.key";
    options.ca_file = dir_ / "ca.crt";
    if (server_) server_->Stop();
    server_ = *net::HttpServer::Start(options, this, &loop_);
    options_.base_url = "https://127.0.0.1:" + std::to_string(server_->port());
    options_.ca_pem = ca_.certificate_pem;
  }
  void Handle(const net::HttpServerRequest& request,
              std::shared_ptr<net::HttpResponder> responder) override {
    uris_ = request.peer_uris;
    authorization_ = net::FindHeader(request.headers, "authorization");
    agent_ = net::FindHeader(request.headers, "user-agent");
    if (request.path == "/never") {
      kept_.push_back(responder);
    } else if (request.path == "/missing") {
      responder->Send(404, "text/plain", "none");
    } else if (request.path == "/large") {
      responder->Send(200, "text/plain", std::string(200'000, 'x'));
    } else {
      responder->Send(
          200, "text/plain",
          request.method + " " + request.path + "?" + request.query + " " + request.body);
    }
  }
  absl::StatusOr<Answer> Call(const std::string& method, const std::string& path,
                              const std::string& body = "") {
    auto client = Client::Make(options_);
    if (!client.ok()) return client.status();
    return (*client)->Call(method, path, body);
  }

  std::filesystem::path dir_;
  const net::KeyAndCertificate ca_ = NewCa("ours");
  net::LoopThread loop_{"rest-test"};
  std::unique_ptr<net::HttpServer> server_;
  ClientOptions options_;
  std::vector<std::string> uris_;
  std::string authorization_, agent_;
  std::vector<std::shared_ptr<net::HttpResponder>> kept_;
};

TEST_F(ClientTest, TheServerSeesTheRequestTheCertificateAndTheHeaders) {
  options_.bearer_token = "secret";
  const auto answer = Call("PUT", "/v1/a%2Fb?x=1", "{\"a\":1}");
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_TRUE(answer->ok());
  EXPECT_EQ(answer->body, "PUT /v1/a%2Fb?x=1 {\"a\":1}");
  EXPECT_THAT(uris_, ElementsAre("spiffe://test/role/operator"));
  EXPECT_EQ(authorization_, "Bearer secret");
  EXPECT_EQ(agent_, "fairlead");
}

TEST_F(ClientTest, AServerOfAnotherAuthorityIsRefused) {
  options_.ca_pem = NewCa("theirs").certificate_pem;
  EXPECT_EQ(Call("GET", "/").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, AServerCertifiedForAnotherAddressIsRefused) {
  StartServer("127.0.0.2");
  EXPECT_EQ(Call("GET", "/").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, AServerThatNeverAnswersEndsAtTheDeadline) {
  options_.timeout = base::seconds(1);
  EXPECT_EQ(Call("GET", "/never").status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, AnAnswerBeyondTheBoundIsRefused) {
  options_.max_answer_bytes = 100'000;
  EXPECT_EQ(Call("GET", "/large").status().code(), absl::StatusCode::kResourceExhausted);
  options_.max_answer_bytes = 200'000;
  const auto answer = Call("GET", "/large");
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->body, std::string(200'000, 'x'));
}

TEST_F(ClientTest, NotFoundIsAnAnswer) {
  const auto answer = Call("GET", "/missing");
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->code, 404);
  EXPECT_EQ(answer->body, "none");
}

TEST(Client, RefusesWhatItCannotUse) {
  const auto code = [](ClientOptions options) { return Client::Make(options).status().code(); };
  ClientOptions plain{"http://127.0.0.1:1"};
  EXPECT_EQ(code(plain), absl::StatusCode::kOk);
  plain.bearer_token = "secret";
  EXPECT_EQ(code(plain), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"http://192.0.2.1"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"not a url"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"https://127.0.0.1:1", "no PEM"}), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fairlead::rest
