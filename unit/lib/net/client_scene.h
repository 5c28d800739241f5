#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/net/http_client.h"
#include "unit/fakes/fake_api_server.h"
#include "unit/fakes/signal.h"

// HttpClient on a thread of its own against FakeApiServer on another; the test waits on a Signal.
namespace fairlead::net {

// One exchange as the caller sees it; read it inside Signal::Wait or Get.
struct Exchanged : ResponseHandler {
  explicit Exchanged(fakes::Signal* signal) : signal(signal) {}
  void OnHeaders(int code, const Headers&) override {
    signal->Update([&] { status = code; });
  }
  void OnData(std::string_view data) override {
    signal->Update([&] { body.append(data); });
  }
  void OnEnd(const absl::Status& why) override {
    signal->Update([&] { end = why; });
  }
  fakes::Signal* signal;
  std::unique_ptr<HttpStream> stream;
  int status = 0;
  std::string body;
  std::optional<absl::Status> end;
};

class ClientScene : public ::testing::Test {
 protected:
  static constexpr char kGet[] = "/api/v1/namespaces/kube-system";
  static constexpr char kWatch[] = "/api/v1/pods?watch=1&resourceVersion=101";

  ClientScene() { options_.connect_timeout = base::seconds(5); }
  // Before Begin(), for tests whose connections die silently: fast enough for a test, and slow
  // enough for a busy machine to answer in time.
  void PingSoon() {
    options_.ping_after = base::milliseconds(300);
    options_.ping_timeout = base::milliseconds(700);
  }
  void TearDown() override {
    OnClient([&] {
      exchanges_.clear();
      client_.reset();
    });
    loop_.Stop();
    server_.reset();
  }
  void Begin(const fakes::FakeApiServerOptions& server = {}) {
    server_ = std::make_unique<fakes::FakeApiServer>(server, &signal_);
    server_->Do([](fakes::FakeKube& kube) {
      kube.Serve({.version = "v1", .resource = "pods", .kind = "Pod"});
    });
    options_.host = "127.0.0.1";
    options_.port = server_->port();
    if (options_.ca_pem.empty()) options_.ca_pem = server_->ca_pem();
    auto client = MakeHttpClient(options_, &loop_);
    ASSERT_TRUE(client.ok()) << client.status().ToString();
    client_ = *std::move(client);
    loop_.Start();
  }
  // Runs `task` on the client's loop and waits for it.
  void OnClient(const std::function<void()>& task) {
    bool done = false;
    loop_.Post([&] {
      task();
      signal_.Update([&] { done = true; });
    });
    ASSERT_TRUE(signal_.Wait([&] { return done; }));
  }
  Exchanged* Start(HttpRequest request, const RequestOptions& options = {}) {
    auto made = std::make_unique<Exchanged>(&signal_);
    Exchanged* exchange = made.get();
    OnClient([&] {
      exchange->stream = client_->Start(std::move(request), options, exchange);
      exchanges_.push_back(std::move(made));
    });
    return exchange;
  }
  Exchanged* Get(const std::string& target = kGet, const RequestOptions& options = {}) {
    return Start({"GET", target, {}, ""}, options);
  }
  Exchanged* Watch(const std::string& target = kWatch) {
    RequestOptions options;
    options.lane = Lane::kWatch;
    options.total_timeout = base::Duration::zero();
    return Get(target, options);
  }
  void Put(const std::string& name, const std::string& rest = "") {
    server_->Do([&](fakes::FakeKube& kube) { kube.Put("pods", "shop", name, rest); });
  }
  // The exchange's end; that it does not come fails the test, whatever end was expected.
  absl::Status EndOf(Exchanged* exchange) {
    if (!signal_.Wait([&] { return exchange->end.has_value(); })) {
      ADD_FAILURE() << "the exchange has no end";
      return absl::InternalError("no end");
    }
    return *exchange->end;
  }
  bool Sees(Exchanged* exchange, const std::string& text) {
    return signal_.Wait([&] { return exchange->body.find(text) != std::string::npos; });
  }
  bool Opened(Exchanged* exchange) {
    return signal_.Wait([&] { return exchange->status == 200; });
  }
  bool Ended(Exchanged* exchange) {
    return signal_.Get([&] { return exchange->end.has_value(); });
  }
  fakes::FakeApiServerSeen Seen() {
    return signal_.Get([&] { return server_->seen(); });
  }

  fakes::Signal signal_;
  HttpClientOptions options_;
  LoopThread loop_{"client"};
  std::unique_ptr<fakes::FakeApiServer> server_;
  std::unique_ptr<HttpTransport> client_;
  std::vector<std::unique_ptr<Exchanged>> exchanges_;
};

}  // namespace fairlead::net
