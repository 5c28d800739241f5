#include "lib/net/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "unit/fakes/manual_loop.h"

namespace fairlead::net {
namespace {

// A blocking client socket with a deadline, speaking raw bytes.
class Client {
 public:
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    timeval limit{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<uint16_t>(port));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  }
  ~Client() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  void Send(const std::string& text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  // Reads until `mark` came or the connection ended.
  std::string ReadUntil(const std::string& mark) {
    std::string text;
    char byte = 0;
    while (text.find(mark) == std::string::npos && recv(fd_, &byte, 1, 0) == 1) text += byte;
    return text;
  }
  bool Ended() {
    char byte = 0;
    return recv(fd_, &byte, 1, 0) == 0;
  }

 private:
  int fd_;
};

class HttpServerTest : public ::testing::Test, public HttpHandler {
 protected:
  void SetUp() override {
    HttpServerOptions options;
    options.address = "127.0.0.1:0";
    options.max_body_bytes = 100;
    options.max_header_bytes = 1000;
    auto server = HttpServer::Start(options, this, &loop_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }

  void Handle(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) override {
    requests_.push_back(request);
    responders_.push_back(std::move(responder));
  }

  // Turns the loop until `count` requests came in all.
  void AwaitRequests(size_t count) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (requests_.size() < count && std::chrono::steady_clock::now() < until) {
      loop_.Run();
      std::this_thread::yield();
    }
    ASSERT_EQ(requests_.size(), count);
  }
  bool AwaitClosed(HttpResponder* responder) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!responder->closed() && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    return responder->closed();
  }

  fakes::ManualLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::vector<HttpServerRequest> requests_;
  std::vector<std::shared_ptr<HttpResponder>> responders_;
};

TEST_F(HttpServerTest, GivesTheHandlerTheRequestAndTheClientTheAnswer) {
  Client client(server_->port());
  client.Send(
      "PUT /v1/a%2Fb?x=1&y=two HTTP/1.1\r\nHost: h\r\nX-Thing: Value\r\nContent-Length: "
      "4\r\n\r\nbody");
  AwaitRequests(1);
  EXPECT_EQ(requests_[0].method, "PUT");
  EXPECT_EQ(requests_[0].path, "/v1/a%2Fb");
  EXPECT_EQ(requests_[0].query, "x=1&y=two");
  EXPECT_EQ(requests_[0].body, "body");
  EXPECT_EQ(FindHeader(requests_[0].headers, "x-thing"), "Value");
  EXPECT_TRUE(requests_[0].peer_uris.empty());
  responders_[0]->Send(201, "application/json", "{\"a\":1}");
  const std::string answer = client.ReadUntil("{\"a\":1}");
  EXPECT_EQ(answer.find("HTTP/1.1 201 Created\r\n"), 0U) << answer;
  EXPECT_NE(answer.find("Content-Length: 7\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("content-type: application/json\r\n"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
  Client client(server_->port());
  for (size_t i = 1; i <= 3; ++i) {
    client.Send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    AwaitRequests(i);
    responders_.back()->Send(200, "text/plain", "ok\n");
    EXPECT_NE(client.ReadUntil("ok\n").find("200"), std::string::npos);
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  Client client(server_->port());
  client.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  AwaitRequests(1);
  responders_[0]->Send(200, "text/plain", "first.");
  client.ReadUntil("first.");
  AwaitRequests(2);
  EXPECT_EQ(requests_[1].path, "/2");
  responders_[1]->Send(200, "text/plain", "second.");
  EXPECT_NE(client.ReadUntil("second.").find("200"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsAnAnswerInChunks) {
  Client client(server_->port());
  client.Send("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n");
  AwaitRequests(1);
  responders_[0]->Begin(200, "application/json");
  responders_[0]->Write("one\n");
  EXPECT_NE(client.ReadUntil("4\r\none\n\r\n").find("Transfer-Encoding: chunked"),
            std::string::npos);
  responders_[0]->Write("seventeen bytes\n\n");
  EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "11\r\nseventeen bytes\n\n\r\n");
  responders_[0]->End();
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "0\r\n\r\n");
}

TEST_F(HttpServerTest, TellsAStreamThatItsClientWentAway) {
  Client client(server_->port());
  client.Send("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n");
  AwaitRequests(1);
  responders_[0]->Begin(200, "application/json");
  client.ReadUntil("\r\n\r\n");
  EXPECT_FALSE(responders_[0]->closed());
  client.Close();
  EXPECT_TRUE(AwaitClosed(responders_[0].get()));
}

TEST_F(HttpServerTest, AClientThatGoesBehindWhatItHadSentIsNoticed) {
  Client client(server_->port());
  client.Send("GET /watch HTTP/1.1\r\nHost: x\r\n\r\n");
  AwaitRequests(1);
  responders_[0]->Begin(200, "text/plain");
  EXPECT_NE(client.ReadUntil("\r\n\r\n"), "");
  client.Send("as TLS does, when it goes");
  client.Close();
  EXPECT_TRUE(AwaitClosed(responders_[0].get()));
}

TEST_F(HttpServerTest, TheAnswerToHeadHasNoBodyHoweverItIsGiven) {
  Client client(server_->port());
  for (size_t i = 0; i < 4; ++i) {
    client.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    AwaitRequests(i + 1);
    if (i % 2 == 0) {
      responders_[i]->Begin(200, "text/plain");
      responders_[i]->Write("data");
      responders_[i]->End();
    } else {
      responders_[i]->Send(200, "text/plain", "data");
    }
    const std::string head = client.ReadUntil("\r\n\r\n");
    EXPECT_EQ(head.find("HTTP/1.1 200"), 0U) << head;
    EXPECT_EQ(head.find("data"), std::string::npos) << head;
  }
}

TEST_F(HttpServerTest, AStreamIsToldWhatTheNetworkTook) {
  Client client(server_->port());
  client.Send("GET /watch HTTP/1.1\r\nHost: x\r\n\r\n");
  AwaitRequests(1);
  std::atomic<int> told = 0;
  responders_[0]->OnDrain([&] { ++told; });
  responders_[0]->Begin(200, {{"content-type", "text/plain"},
                              {"audit-id", "7"},
                              {"x-bad", "a\r\nb: c"},
                              {"x\r\nb: c", "d"},
                              {"y: z", "e"}});
  responders_[0]->Write("data");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_NE(head.find("audit-id: 7\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("b: c"), std::string::npos) << head;
  EXPECT_EQ(head.find("y: z"), std::string::npos) << head;
  EXPECT_NE(client.ReadUntil("data"), "");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (responders_[0]->QueuedBytes() > 0 && std::chrono::steady_clock::now() < until) {
  }
  EXPECT_GT(told, 0);
  told = 0;
  client.Close();
  EXPECT_TRUE(AwaitClosed(responders_[0].get()));
  while (told == 0 && std::chrono::steady_clock::now() < until) {
  }
  EXPECT_GT(told, 0) << "also that the client went";
  server_->Stop();
}

TEST_F(HttpServerTest, AnAnswerThatHasNoBodyEndsWithItsHeaders) {
  Client client(server_->port());
  for (size_t i = 0; i < 2; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    AwaitRequests(i + 1);
    responders_[i]->Send(304, {{"etag", "7"}}, "");
    const std::string head = client.ReadUntil("\r\n\r\n");
    EXPECT_EQ(head.find("HTTP/1.1 304"), 0U) << head;
    EXPECT_NE(head.find("etag: 7\r\n"), std::string::npos) << head;
    EXPECT_EQ(head.find("ontent-"), std::string::npos) << head;
    EXPECT_EQ(head.find("chunked"), std::string::npos) << head;
  }
}

TEST_F(HttpServerTest, AStreamDroppedBeforeItsEndLooksCutToTheClient) {
  Client client(server_->port());
  client.Send("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n");
  AwaitRequests(1);
  responders_[0]->Begin(200, "application/json");
  responders_[0]->Write("part");
  client.ReadUntil("part\r\n");
  responders_.clear();
  EXPECT_TRUE(client.Ended());
}

TEST_F(HttpServerTest, RefusesABodyBeyondTheLimit) {
  Client client(server_->port());
  client.Send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n").find("HTTP/1.1 413 "), 0U);
}

TEST_F(HttpServerTest, RefusesHeadersBeyondTheLimit) {
  Client client(server_->port());
  client.Send("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'x'));
  EXPECT_EQ(client.ReadUntil("\r\n\r\n").find("HTTP/1.1 431 "), 0U);
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  Client client(server_->port());
  client.Send("\x16\x03\x01\x02 hello\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n").find("HTTP/1.1 400 "), 0U);
}

TEST_F(HttpServerTest, AResponderMayOutliveTheServer) {
  Client client(server_->port());
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  AwaitRequests(1);
  server_->Stop();
  server_.reset();
  EXPECT_TRUE(responders_[0]->closed());
  responders_[0]->Send(200, "text/plain", "late");
  EXPECT_TRUE(client.Ended());
}

TEST_F(HttpServerTest, AnAddressInUseIsAnErrorThatNamesIt) {
  HttpServerOptions options;
  options.address = "127.0.0.1:" + std::to_string(server_->port());
  options.max_connections = 1;
  HttpServerOptions broken;
  broken.address = "nonsense";
  EXPECT_FALSE(HttpServer::Start(broken, this, &loop_).ok());
  broken.address = "127.0.0.1:0";
  broken.certificate_file = "/nowhere/tls.crt";
  const auto missing = HttpServer::Start(broken, this, &loop_);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.status().ToString().find("/nowhere/tls.crt"), std::string::npos);
}

TEST(Query, ValuesAreDecoded) {
  EXPECT_EQ(QueryValue("a=1&name=x%2Fy+z&b=", "name"), "x/y z");
  EXPECT_EQ(QueryValue("a=1", "b"), "");
  EXPECT_EQ(QueryValue("a=%zz", "a"), "");
  EXPECT_EQ(QueryValue("ab=1", "a"), "");
}

}  // namespace
}  // namespace fairlead::net
