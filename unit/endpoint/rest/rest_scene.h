#pragma once

#include <gtest/gtest.h>
#include <json/json.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "endpoint/registry/registry.h"
#include "endpoint/rest/service.h"
#include "lib/base/hash.h"
#include "lib/json/dom.h"
#include "lib/net/loop_thread.h"
#include "unit/fakes/signal.h"

// RestService over a real store and its writer thread, without a network.
namespace fairlead::endpoint {

// Collects one answer, from any thread.
class Answered : public net::HttpResponder {
 public:
  explicit Answered(fakes::Signal* signal) : signal_(signal) {}
  using HttpResponder::Send;
  void Send(int status, const net::Headers& headers, std::string text) override {
    signal_->Update([&] {
      code = status;
      type = net::FindHeader(headers, "content-type");
      body = std::move(text);
      ended = true;
    });
  }
  using HttpResponder::Begin;
  void Begin(int status, const net::Headers& headers) override {
    signal_->Update([&] {
      code = status;
      type = net::FindHeader(headers, "content-type");
    });
  }
  void OnDrain(std::function<void()>) override {}
  void Write(std::string data) override {
    signal_->Update([&] { body += data; });
  }
  void End() override {
    signal_->Update([&] { ended = true; });
  }
  [[nodiscard]] size_t QueuedBytes() const override { return 0; }
  [[nodiscard]] bool closed() const override { return hung_up; }

  int code = 0;
  std::string type;
  std::string body;
  bool ended = false;
  std::atomic<bool> hung_up = false;

 private:
  fakes::Signal* signal_;
};

// Remembers what it is told.
class FakeActions : public AccountActions {
 public:
  explicit FakeActions(fakes::Signal* signal) : signal_(signal) {}
  void Audit(const base::U128& account, const std::vector<store::Kind>& kinds,
             std::function<void(bool)> done) override {
    signal_->Update([&] {
      for (const store::Kind& kind : kinds) {
        audits.push_back(base::ToHex(account) + " " + kind.resource);
      }
    });
    done(held);
  }
  void Fenced(const base::U128& account, const std::string&) override {
    signal_->Update([&] { fenced.push_back(base::ToHex(account)); });
  }
  std::atomic<bool> held = true;
  std::vector<std::string> audits;
  std::vector<std::string> fenced;

 private:
  fakes::Signal* signal_;
};

class RestScene : public ::testing::Test {
 protected:
  static constexpr char kSpec[] = R"({"identities":["agent"],"access":{"level":"Cluster"}})";

  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("rest_test." + std::to_string(getpid()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    store_ = *store::Store::Open({.sqlite_path = dir_ / "test.db"}, &base::Clock::Real());
    registry_ = std::make_unique<registry::Registry>(store_.get(), nullptr);
    reader_ = *store_->OpenReader();
    writer_ =
        std::make_unique<store::WriterThread>(store_.get(), store::WriterThreadOptions{}, nullptr);
    config_.trust_domain = "test";
    for (const char* role : {"admin", "operator", "viewer"}) {
      config_.tokens.push_back({role, role, base::Sha256Hex(std::string("token-") + role)});
    }
    service_ = std::make_unique<RestService>(RestOptions{&config_, writer_.get(), reader_.get(),
                                                         registry_.get(), &board_, &metrics_,
                                                         &loop_, &reads_, &actions_});
    loop_.Start();
    reads_.Start();
  }
  void TearDown() override {
    writer_->Stop(base::seconds(5));
    loop_.Stop();
    reads_.Stop();
    service_.reset();
    writer_.reset();
    reader_.reset();
    registry_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }
  static net::HttpServerRequest Request(const std::string& method, const std::string& target,
                                        const std::string& body = "") {
    net::HttpServerRequest request;
    const size_t mark = target.find('?');
    request.method = method;
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) request.query = target.substr(mark + 1);
    request.body = body;
    request.peer_uris = {"spiffe://test/role/admin"};
    return request;
  }
  std::shared_ptr<Answered> Start(const net::HttpServerRequest& request) {
    auto answer = std::make_shared<Answered>(&signal_);
    loop_.Post([this, request, answer] { service_->Handle(request, answer); });
    return answer;
  }
  std::shared_ptr<Answered> Ask(const net::HttpServerRequest& request) {
    auto answer = Start(request);
    EXPECT_TRUE(signal_.Wait([&] { return answer->ended; })) << request.method << request.path;
    return answer;
  }
  std::shared_ptr<Answered> Ask(const std::string& method, const std::string& target,
                                const std::string& body = "") {
    return Ask(Request(method, target, body));
  }
  static Json::Value Parsed(const std::string& text) {
    const auto value = json::ParseJson(text);
    EXPECT_TRUE(value.ok()) << text;
    return value.ok() ? *value : Json::Value();
  }
  // "400 Invalid", and that the error has a message.
  static std::string Refusal(const std::shared_ptr<Answered>& answer) {
    const Json::Value error = Parsed(answer->body)["error"];
    EXPECT_FALSE(error["message"].asString().empty()) << answer->body;
    return std::to_string(answer->code) + " " + error["reason"].asString();
  }
  std::shared_ptr<Answered> PutAccount(const std::string& name, const std::string& rest = "") {
    return Ask("PUT", "/v1/accounts/" + name, "{" + rest + "\"spec\":" + kSpec + "}");
  }
  // Rows of an account, and before them the position of their watch, as its agent would have sent
  // them.
  void PutRows(const std::string& account_hex, const std::vector<std::string>& names) {
    store::Batch batch;
    ASSERT_TRUE(base::FromHex(account_hex, &batch.shard.account));
    bool ready = false;
    ASSERT_TRUE(writer_
                    ->NewTerm(batch.shard, "agent", {},
                              [&](const absl::StatusOr<store::Term>& term) {
                                signal_.Update([&] {
                                  batch.epoch = term->state.epoch;
                                  batch.term = term->state.term;
                                  batch.seq = term->state.last_seq + 1;
                                  ready = true;
                                });
                              })
                    .ok());
    ASSERT_TRUE(signal_.Wait([&] { return ready; }));
    batch.kinds = {{"", "pods", "Pod", "v1", true}};
    batch.entries.emplace_back(
        store::Checkpoint{.kind = 0, .watch = "", .history = 1, .resource_version = "6"});
    for (const std::string& name : names) {
      store::Change change;
      change.name_space = "shop";
      change.name = name;
      change.uid = "uid-" + name;
      change.resource_version = "7";
      change.history = 1;
      change.body = "{\"big\":9007199254740993,\"name\":\"" + name + "\"}";
      change.content_hash = base::Sha256Trunc128(change.body);
      batch.entries.emplace_back(change);
    }
    bool done = false;
    ASSERT_TRUE(
        writer_
            ->Submit(batch,
                     [&](const store::BatchResult&) { signal_.Update([&] { done = true; }); })
            .ok());
    ASSERT_TRUE(signal_.Wait([&] { return done; }));
  }

  std::filesystem::path dir_;
  fakes::Signal signal_;
  FakeActions actions_{&signal_};
  Config config_;
  FleetBoard board_;
  metrics::Registry metrics_;
  net::LoopThread loop_{"rest"};
  net::LoopThread reads_{"reads"};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<registry::Registry> registry_;
  std::unique_ptr<store::Reader> reader_;
  std::unique_ptr<store::WriterThread> writer_;
  std::unique_ptr<RestService> service_;
};

}  // namespace fairlead::endpoint
