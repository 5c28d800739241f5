#include "lib/kube/api_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "unit/fakes/fake_kube.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::kube {
namespace {

using base::seconds;
using ::testing::HasSubstr;

// Keeps what was asked; the answer is the fake's.
class Recorder : public net::HttpTransport {
 public:
  explicit Recorder(net::HttpTransport* next) : next_(next) {}
  std::unique_ptr<net::HttpStream> Start(net::HttpRequest request,
                                         const net::RequestOptions& options,
                                         net::ResponseHandler* handler) override {
    last = request;
    lane = options.lane;
    return next_->Start(std::move(request), options, handler);
  }
  net::HttpRequest last;
  net::Lane lane = net::Lane::kCall;

 private:
  net::HttpTransport* next_;
};

class ApiClientTest : public ::testing::Test {
 protected:
  ApiClientTest() {
    kube_.Serve({.version = "v1", .resource = "pods", .kind = "Pod"});
    kube_.Put("pods", "shop", "web", R"("spec":{"a":1})");
  }
  std::unique_ptr<ApiClient::Call> Get(const std::string& name, const CallOptions& options = {}) {
    return client_.Start({.target = "/api/v1/namespaces/shop/pods/" + name}, options,
                         [this](ApiAnswer answer) {
                           ++answers_;
                           answer_ = std::move(answer);
                         });
  }

  fakes::ManualLoop loop_;
  fakes::FakeKube kube_;
  fakes::MemoryTransport memory_{&kube_, &loop_};
  Recorder transport_{&memory_};
  ApiClient client_{&transport_, &loop_, TokenSource("secret", ""), "fairlead-agent/1"};
  int answers_ = 0;
  ApiAnswer answer_;
};

TEST_F(ApiClientTest, AnAnswerComesOnceAndLater) {
  const auto call = Get("web");
  EXPECT_EQ(answers_, 0);
  loop_.Run();
  loop_.Advance(seconds(120));
  EXPECT_EQ(answers_, 1);
  EXPECT_TRUE(answer_.ok());
  EXPECT_EQ(answer_.code, 200);
  EXPECT_THAT(answer_.body, HasSubstr(R"("name":"web")"));
}

TEST_F(ApiClientTest, RequestsCarryTheTokenAndTheUserAgent) {
  const auto call = Get("web");
  EXPECT_EQ(net::FindHeader(transport_.last.headers, "authorization"), "Bearer secret");
  EXPECT_EQ(net::FindHeader(transport_.last.headers, "user-agent"), "fairlead-agent/1");
}

TEST_F(ApiClientTest, WithoutATokenThereIsNoAuthorization) {
  ApiClient anonymous(&transport_, &loop_, TokenSource("", ""), "x");
  const auto call = anonymous.Start({.target = "/version"}, {}, [](const ApiAnswer&) {});
  EXPECT_EQ(net::FindHeader(transport_.last.headers, "authorization"), "");
}

TEST_F(ApiClientTest, ARefusalIsATypedError) {
  const auto call = Get("nothing");
  loop_.Run();
  ASSERT_FALSE(answer_.ok());
  EXPECT_EQ(answer_.error->reason, Reason::kNotFound);
}

TEST_F(ApiClientTest, AfterA401TheTokenIsReadAgain) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("api_client_test." + std::to_string(getpid()));
  std::ofstream(file) << "old";
  ApiClient client(&transport_, &loop_, TokenSource("", file), "x");
  kube_.Inject("pods/web", {.status = 401, .reason = "Unauthorized"});
  const auto ask = [&] {
    auto call =
        client.Start({.target = "/api/v1/namespaces/shop/pods/web"}, {}, [](const ApiAnswer&) {});
    loop_.Run();
    return std::string(net::FindHeader(transport_.last.headers, "authorization"));
  };
  EXPECT_EQ(ask(), "Bearer old");
  std::ofstream(file) << "new";
  EXPECT_EQ(ask(), "Bearer new");
  std::filesystem::remove(file);
}

TEST_F(ApiClientTest, NoAnswerIsATransportError) {
  memory_.set_unreachable(true);
  const auto call = Get("web", {.timeout = seconds(5)});
  loop_.Run();
  loop_.Advance(seconds(5));
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(answer_.error->reason, Reason::kTransport);
  EXPECT_EQ(answer_.code, 0);
}

TEST_F(ApiClientTest, ACutAnswerIsNoAnswer) {
  kube_.Inject("pods/web", {.cut_after = 10});
  const auto call = Get("web");
  loop_.Run();
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(answer_.error->reason, Reason::kTransport);
  EXPECT_EQ(answer_.code, 0);
}

TEST_F(ApiClientTest, AnAnswerLongerThanAllowedIsAnErrorAndNotKept) {
  kube_.Inject("pods/web", {.slice = 7});
  const auto call = Get("web", {.max_bytes = 20});
  loop_.Run();
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(answer_.error->reason, Reason::kMalformed);
  EXPECT_EQ(answer_.body, "");
}

TEST_F(ApiClientTest, ADestroyedCallSaysNothing) {
  auto call = Get("web");
  call.reset();
  loop_.Run();
  EXPECT_EQ(answers_, 0);
}

TEST_F(ApiClientTest, TheCallbackMayDestroyItsCall) {
  std::unique_ptr<ApiClient::Call> call;
  call = client_.Start({.target = "/api/v1/namespaces/shop/pods/web"}, {},
                       [&](const ApiAnswer&) { call.reset(); });
  loop_.Run();
  EXPECT_EQ(call, nullptr);
}

}  // namespace
}  // namespace fairlead::kube
