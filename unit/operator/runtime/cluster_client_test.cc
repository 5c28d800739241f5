#include "operator/runtime/cluster_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/operator/runtime/fake_clusters.h"

namespace fairlead::op {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const kube::ObjectName kThing{{"", "v1", "configmaps", "ConfigMap", true}, "s", "a"};

class ClusterClientTest : public ::testing::Test {
 protected:
  std::shared_ptr<ClusterClient> Client(base::Duration timeout) {
    ClusterClient::Options options;
    options.user_agent = "test/1";
    options.timeout = timeout;
    options.may_write = [this] { return may_write_; };
    options.clock = &clock_;
    return clusters_.Reach(&hub_, "there:6443", options);
  }
  void Script(const fakes::FakeHub::Fate& fate) {
    clusters_.On([&] { hub_.set_script([fate](const net::HttpRequest&) { return fate; }); });
  }
  std::vector<std::string> Requests() {
    std::vector<std::string> out;
    clusters_.On([&] { out = hub_.requests(); });
    return out;
  }
  static kube::Reason ReasonOf(const kube::ApiAnswer& answer) {
    return answer.error ? answer.error->reason : kube::Reason::kUnknown;
  }

  fakes::FakeHub hub_{"hub"};
  base::ManualClock clock_;
  bool may_write_ = true;
  FakeClusters clusters_;
  std::shared_ptr<ClusterClient> client_ = Client(FakeClusters::Options().timeout);
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
  const auto client = Client(base::milliseconds(50));
  Script({.never = true});
  EXPECT_EQ(ReasonOf(client->Get(kThing)), kube::Reason::kTransport);
  EXPECT_THAT(Requests(), SizeIs(1));
  Script({});
  clock_.Advance(base::milliseconds(14'999));
  EXPECT_EQ(ReasonOf(client->Get(kThing)), kube::Reason::kTransport);
  EXPECT_THAT(Requests(), SizeIs(1)) << "paused";
  clock_.Advance(base::milliseconds(1));
  // A slow machine may miss the short deadline again.
  kube::Reason reason = ReasonOf(client->Get(kThing));
  for (int i = 0; i < 100 && reason == kube::Reason::kTransport; ++i) {
    clock_.Advance(base::seconds(15));
    reason = ReasonOf(client->Get(kThing));
  }
  EXPECT_EQ(reason, kube::Reason::kNotFound);
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
