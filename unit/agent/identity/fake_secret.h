#pragma once

#include <json/json.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "agent/identity/shared_secret.h"
#include "lib/base/loop.h"
#include "lib/json/dom.h"
#include "lib/kube/api_client.h"

namespace fairlead::agent {

// An API server that has one Secret: GET, and PATCH with its resourceVersion as precondition.
// FakeKube takes no writes.
class FakeSecret : public net::HttpTransport {
 public:
  explicit FakeSecret(base::Loop* loop)
      : loop_(loop), client_(this, loop, kube::TokenSource("", ""), "test") {}

  std::unique_ptr<SharedSecret> Open() {
    return std::make_unique<SharedSecret>("fairlead", "identity", &client_);
  }
  void Set(const SharedSecret::Pair& pair) {
    pair_ = pair;
    ++version_;
  }
  [[nodiscard]] const SharedSecret::Pair& pair() const { return pair_; }
  // Once, just before the next PATCH is looked at.
  void BeforeWrite(std::function<void()> task) { before_write_ = std::move(task); }
  // Every answer's status code, or of every PATCH; 0 = the proper one.
  void set_code(int code) { code_ = code; }
  void set_write_code(int code) { write_code_ = code; }
  void set_body(std::string body) { body_ = std::move(body); }
  [[nodiscard]] const net::HttpRequest& last() const { return last_; }

  std::unique_ptr<net::HttpStream> Start(net::HttpRequest request, const net::RequestOptions&,
                                         net::ResponseHandler* handler) override {
    struct Stream : net::HttpStream {
      explicit Stream(std::shared_ptr<bool> alive) : alive(std::move(alive)) {}
      void Pause() override {}
      void Resume() override {}
      std::shared_ptr<bool> alive;
    };
    auto alive = std::make_shared<bool>(true);
    last_ = std::move(request);
    loop_->Post([this, handler, request = last_, weak = std::weak_ptr(alive)] {
      if (!weak.lock()) return;
      const auto [code, body] = Answer(request);
      handler->OnHeaders(code, {{"content-type", "application/json"}});
      handler->OnData(body);
      handler->OnEnd(absl::OkStatus());
    });
    return std::make_unique<Stream>(std::move(alive));
  }

 private:
  static std::pair<int, std::string> Refusal(int code, const char* reason) {
    return {code, std::string(R"({"kind":"Status","status":"Failure","reason":")") + reason +
                      R"(","code":)" + std::to_string(code) + "}"};
  }
  std::pair<int, std::string> Answer(const net::HttpRequest& request) {
    const bool write = request.method != "GET";
    if (write && before_write_) std::exchange(before_write_, nullptr)();
    if (code_ != 0) return Refusal(code_, "ServiceUnavailable");
    if (write && write_code_ != 0) return Refusal(write_code_, "Forbidden");
    if (!body_.empty()) return {200, body_};
    if (write) {
      const Json::Value patch = *json::ParseJson(request.body);
      if (patch["metadata"]["resourceVersion"].asString() != std::to_string(version_)) {
        return Refusal(409, "Conflict");
      }
      SharedSecret::Pair pair;
      absl::Base64Unescape(patch["data"]["tls.key"].asString(), &pair.key_pem);
      absl::Base64Unescape(patch["data"]["tls.crt"].asString(), &pair.certificate_pem);
      Set(pair);
    }
    Json::Value secret;
    secret["kind"] = "Secret";
    secret["metadata"]["resourceVersion"] = std::to_string(version_);
    if (!pair_.key_pem.empty()) {
      secret["data"]["tls.key"] = absl::Base64Escape(pair_.key_pem);
      secret["data"]["tls.crt"] = absl::Base64Escape(pair_.certificate_pem);
    }
    return {200, json::WriteJson(secret)};
  }

  base::Loop* loop_;
  kube::ApiClient client_;
  SharedSecret::Pair pair_;
  int version_ = 1;
  int code_ = 0;
  int write_code_ = 0;
  std::string body_;
  std::function<void()> before_write_;
  net::HttpRequest last_;
};

}  // namespace fairlead::agent
