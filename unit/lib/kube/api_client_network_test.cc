// ApiClient over real TLS sockets (operator-checklist T4, T6, T7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lib/kube/api_client.h"
#include "unit/lib/net/client_scene.h"

namespace fairlead::kube {
namespace {

constexpr char kPath[] = "/api/v1/namespaces/kube-system";

class ApiClientNetworkTest : public net::ClientScene {
 protected:
  ApiClientNetworkTest()
      : file_(std::filesystem::temp_directory_path() /
              ("api_client_network." + std::to_string(getpid()))) {
    std::ofstream(file_) << "old";
  }
  ~ApiClientNetworkTest() override { std::filesystem::remove(file_); }
  void Begin() {
    ClientScene::Begin();
    OnClient([&] {
      api_ = std::make_unique<ApiClient>(client_.get(), &loop_, TokenSource("", file_), "test/1");
    });
    Accept("old");
  }
  void TearDown() override {
    OnClient([&] {
      call_.reset();
      api_.reset();
    });
    ClientScene::TearDown();
  }
  // The server takes this token only.
  void Accept(const std::string& token) {
    server_->SetHandler(
        [token](const net::HttpRequest& request, const std::shared_ptr<fakes::FakeReply>& reply) {
          const bool good = net::FindHeader(request.headers, "authorization") == "Bearer " + token;
          reply->Headers(good ? 200 : 401, {{"content-type", "application/json"}});
          reply->Data(good ? "{}" : R"({"kind":"Status","reason":"Unauthorized","code":401})");
          reply->End();
        });
  }
  // The code of one call's answer, and its reason when it is an error.
  int Call(net::HttpRequest request, std::optional<Reason>* reason = nullptr) {
    std::optional<ApiAnswer> answer;
    OnClient([&] {
      call_ = api_->Start(std::move(request), {}, [&](ApiAnswer came) {
        signal_.Update([&] { answer = std::move(came); });
      });
    });
    EXPECT_TRUE(signal_.Wait([&] { return answer.has_value(); }));
    if (reason != nullptr && answer->error) *reason = answer->error->reason;
    return answer->code;
  }
  int Call() { return Call({"GET", kPath, {}, ""}); }

  std::filesystem::path file_;
  std::unique_ptr<ApiClient> api_;
  std::unique_ptr<ApiClient::Call> call_;
};

TEST_F(ApiClientNetworkTest, ATokenRotatedAndRevokedCostsOneRefusal) {
  Begin();
  EXPECT_EQ(Call(), 200);
  std::ofstream(file_) << "new";
  Accept("new");
  EXPECT_EQ(Call(), 401) << "nothing is sent twice; trying again is the caller's";
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Call(), 200);
  EXPECT_EQ(Seen().requests.size(), 22U);
}

TEST_F(ApiClientNetworkTest, ATokenFileThatVanishedLeavesTheLastGoodToken) {
  Begin();
  EXPECT_EQ(Call(), 200);
  std::filesystem::remove(file_);
  Accept("another");
  EXPECT_EQ(Call(), 401);
  Accept("old");
  EXPECT_EQ(Call(), 200);
}

TEST_F(ApiClientNetworkTest, AWriteCutOffAfterItWasReadIsATransportErrorSentOnce) {
  Begin();
  EXPECT_EQ(Call(), 200);
  server_->SetHandler([](const net::HttpRequest&, const std::shared_ptr<fakes::FakeReply>& reply) {
    reply->Reset();
  });
  std::optional<Reason> reason;
  EXPECT_EQ(Call({"POST", "/api/v1/pods", {}, "{}"}, &reason), 0);
  EXPECT_EQ(reason, Reason::kTransport);
  Accept("old");
  EXPECT_EQ(Call(), 200);
  EXPECT_EQ(Seen().Count("POST /api/v1/pods"), 1);
}

TEST_F(ApiClientNetworkTest, AProxysPageIsClassifiedByItsCode) {
  Begin();
  server_->SetHandler([](const net::HttpRequest&, const std::shared_ptr<fakes::FakeReply>& reply) {
    reply->Headers(403, {{"content-type", "text/html"}});
    reply->Data("<html>corporate proxy</html>");
    reply->End();
  });
  std::optional<Reason> reason;
  EXPECT_EQ(Call({"GET", kPath, {}, ""}, &reason), 403);
  EXPECT_EQ(reason, Reason::kForbidden);
}

}  // namespace
}  // namespace fairlead::kube
