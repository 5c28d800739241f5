#include "operator/runtime/cluster_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "unit/fakes/fake_hub.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::op {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const kube::ObjectName kThing{{"", "v1", "configmaps", "ConfigMap", true}, "s", "a"};

class ClusterClientTest : public ::testing::Test {
 protected:
  ClusterClientTest() {
    loop_.Start();
    ClusterClient::Options options;
    options.user_agent = "test/1";
    options.timeout = base::milliseconds(50);
    options.may_write = [this] { return may_write_; };
    options.clock = &clock_;
    client_ = ClusterClient::Over(
        std::make_unique<fakes::MemoryTransport>(
            [this](const auto& request, auto reply) { hub_.Handle(request, reply); }, &loop_),
        "there:6443", kube::TokenSource("", ""), options, &loop_);
  }
  ~ClusterClientTest() override {
    client_.reset();
    On([] {});
    loop_.Stop();
  }
  void On(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Script(const fakes::FakeHub::Fate& fate) {
    On([&] { hub_.set_script([fate](const net::HttpRequest&) { return fate; }); });
  }
  std::vector<std::string> Requests() {
    std::vector<std::string> out;
    On([&] { out = hub_.requests(); });
    return out;
  }
  static kube::Reason ReasonOf(const kube::ApiAnswer& answer) {
    return answer.error ? answer.error->reason : kube::Reason::kUnknown;
  }

  fakes::FakeHub hub_{"hub"};
  base::ManualClock clock_;
  bool may_write_ = true;
  net::LoopThread loop_{"test"};
  std::shared_ptr<ClusterClient> client_;
};

TEST_F(ClusterClientTest, WithoutTheFenceNoWriteIsSentAndReadsAre) {
  may_write_ = false;
  const kube::ApiAnswer answers[] = {
      client_->Apply(kThing, "{}", "m"),  client_->JsonPatch(kThing, "[]", "m"),
      client_->Create(kThing, "{}", "m"), client_->Replace(kThing, "{}", "m"),
      client_->Delete(kThing, {}),
  };
  for (const kube::ApiAnswer& answer : answers) {
    ASSERT_TRUE(answer.error);
    EXPECT_THAT(answer.error->message, HasSubstr("not the leader"));
  }
  EXPECT_THAT(Requests(), IsEmpty());
  EXPECT_EQ(ReasonOf(client_->Get(kThing)), kube::Reason::kNotFound);
}

TEST_F(ClusterClientTest, AServerThatNeverAnswersCostsOneDeadlineAndThenNothingForAWhile) {
  Script({.never = true});
  EXPECT_EQ(ReasonOf(client_->Get(kThing)), kube::Reason::kTransport);
  Script({});
  EXPECT_EQ(ReasonOf(client_->Get(kThing)), kube::Reason::kTransport) << "paused";
  EXPECT_THAT(Requests(), SizeIs(1));
  clock_.Advance(base::seconds(15));
  EXPECT_EQ(ReasonOf(client_->Get(kThing)), kube::Reason::kNotFound);
}

TEST_F(ClusterClientTest, RetryAfterIsKeptAndNothingIsSentBefore) {
  Script({.status = 429, .reason = "TooManyRequests", .retry_after_seconds = 2});
  EXPECT_EQ(ReasonOf(client_->Get(kThing)), kube::Reason::kTooManyRequests);
  Script({});
  client_->Get(kThing);
  clock_.Advance(base::milliseconds(1999));
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(1));
  clock_.Advance(base::milliseconds(1));
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(2));
}

TEST_F(ClusterClientTest, WithoutRetryAfterAnErrorPausesNothing) {
  Script({.status = 503, .reason = "ServiceUnavailable"});
  client_->Get(kThing);
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(2));
}

TEST_F(ClusterClientTest, NothingIsSentTwice) {
  Script({.answer_lost = true});
  EXPECT_EQ(ReasonOf(client_->Create(kThing, R"({"metadata":{"name":"a"}})", "m")),
            kube::Reason::kTransport);
  EXPECT_THAT(Requests(), ElementsAre("POST /api/v1/namespaces/s/configmaps?fieldManager=m"));
}

TEST_F(ClusterClientTest, ANameThatIsNoPathSegmentReachesNobody) {
  EXPECT_EQ(ReasonOf(client_->Get({kThing.type, "s", "../../secrets/x"})),
            kube::Reason::kBadRequest);
  EXPECT_THAT(Requests(), IsEmpty());
}

}  // namespace
}  // namespace fairlead::op
