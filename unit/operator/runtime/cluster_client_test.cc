#include "operator/runtime/cluster_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <future>
#include <map>

#include "lib/base/strings.h"
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
  ClusterClient::Options Options(base::Duration timeout) {
    ClusterClient::Options options;
    options.user_agent = "test/1";
    options.timeout = timeout;
    options.may_write = [this] { return may_write_; };
    options.clock = &clock_;
    return options;
  }
  std::shared_ptr<ClusterClient> Client(base::Duration timeout) {
    return clusters_.Reach(&hub_, "there:6443", Options(timeout));
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

TEST_F(ClusterClientTest, APauseFailsWithTheErrorThatBeganIt) {
  Script({.lost = true});
  const kube::ApiError first = *client_->Get(kThing).error;
  EXPECT_EQ(kube::Describe(*client_->GetPath("/version").error), kube::Describe(first));
  EXPECT_THAT(Requests(), SizeIs(1));
  EXPECT_FALSE(client_->answers());
  clock_.Advance(base::seconds(15));
  Script({.status = 429, .reason = "TooManyRequests", .retry_after_seconds = 2});
  const kube::ApiError slow = *client_->Get(kThing).error;
  EXPECT_NE(kube::Describe(slow), kube::Describe(first));
  EXPECT_EQ(kube::Describe(*client_->GetPath("/version").error), kube::Describe(slow));
  EXPECT_TRUE(client_->answers());
}

TEST_F(ClusterClientTest, NoServerIsWaitedForLongerThanAMinute) {
  Script({.status = 503, .reason = "ServiceUnavailable", .retry_after_seconds = 86400});
  client_->Get(kThing);
  clock_.Advance(base::milliseconds(59'999));
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(1));
  clock_.Advance(base::milliseconds(1));
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(2));
}

TEST_F(ClusterClientTest, AShorterPauseDoesNotCutALongerOne) {
  std::map<std::string, std::shared_ptr<fakes::FakeReply>> open;
  std::promise<void> both_are_under_way;
  const auto client = clusters_.Reach(
      [&](const net::HttpRequest& request, const std::shared_ptr<fakes::FakeReply>& reply) {
        if (open.size() == 2) return hub_.Handle(request, reply);
        open[request.target] = reply;
        if (open.size() == 2) both_are_under_way.set_value();
      },
      "there:6443", Options(FakeClusters::Options().timeout));
  auto longer = std::async(std::launch::async, [&] { return client->GetPath("/longer"); });
  auto shorter = std::async(std::launch::async, [&] { return client->GetPath("/shorter"); });
  both_are_under_way.get_future().wait();
  const auto refuse = [&](const std::string& target, const std::string& seconds) {
    clusters_.On([&] {
      open[target]->Headers(429, {{"retry-after", seconds}});
      open[target]->End();
    });
  };
  refuse("/longer", "40");
  longer.wait();
  refuse("/shorter", "2");
  shorter.wait();
  clock_.Advance(base::milliseconds(39'999));
  client->Get(kThing);
  EXPECT_THAT(Requests(), IsEmpty());
  clock_.Advance(base::milliseconds(1));
  client->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(1));
}

TEST_F(ClusterClientTest, RetryAfterWithAnErrorOfOneObjectPausesNothing) {
  Script({.status = 404, .reason = "NotFound", .retry_after_seconds = 30});
  client_->Get(kThing);
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(2));
}

TEST_F(ClusterClientTest, WithoutRetryAfterAnErrorPausesNothing) {
  Script({.status = 503, .reason = "ServiceUnavailable"});
  client_->Get(kThing);
  client_->Get(kThing);
  EXPECT_THAT(Requests(), SizeIs(2));
}

TEST_F(ClusterClientTest, AClusterThatSwallowsPacketsHasOneErrorThatNamesIt) {
  // The kernel takes connections, and nobody ever says a word on them.
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor silent(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
  kube::ClusterAccess access;
  access.host = "cluster.example.com";
  access.address = "127.0.0.1";
  access.port = silent.local_endpoint().port();
  ClusterClient::Options options;
  options.timeout = base::milliseconds(200);
  options.pause_after_failure = base::seconds(0);
  const auto client = ClusterClient::Make(access, options, clusters_.loop());
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(
        kube::Describe(*(*client)->GetPath("/version").error),
        base::StrCat("Transport: no connection to cluster.example.com:", access.port, " in time"));
  }
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
