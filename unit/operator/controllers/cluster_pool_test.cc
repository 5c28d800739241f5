#include "operator/controllers/cluster_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <future>
#include <thread>

#include "unit/operator/controllers/world.h"

namespace fairlead::op {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Addresses = std::vector<std::string>;

constexpr char kHost[] = "cluster.example.com";

class ClusterPoolTest : public ::testing::Test {
 protected:
  ClusterPoolTest() {
    PutKubeconfig(&servers_, Kubeconfig(base::StrCat("https://", kHost, ":6443")));
    Resolves(Addresses{"10.0.0.1"});
  }
  static api::ClusterAccount Account(const std::string& uid = "a") {
    api::ClusterAccount account;
    account.meta.uid = uid;
    account.meta.name_space = kSpace;
    account.connection.kind = api::Connection::Kind::kKubeconfig;
    account.connection.kubeconfig.secret_name = "spoke-kubeconfig";
    account.connection.kubeconfig.secret_key = "value";
    return account;
  }
  World& world() {
    if (!world_) world_ = std::make_unique<World>(&servers_);
    return *world_;
  }
  void Resolves(const absl::StatusOr<Addresses>& to) {
    servers_.resolve = [this, to](const std::string& host) {
      EXPECT_EQ(host, kHost);
      ++lookups_;
      return to;
    };
  }
  auto For(const api::ClusterAccount& account = Account()) {
    return world().context.clusters->For(account);
  }
  // A call to the cluster of the account, which it answers or not.
  void Call(bool answered) {
    world().On([&] {
      servers_.spoke.set_script(
          [answered](const net::HttpRequest&) { return fakes::FakeHub::Fate{.lost = !answered}; });
    });
    const auto client = For();
    ASSERT_TRUE(client.ok()) << client.status();
    (*client)->GetPath("/version");
    ASSERT_EQ((*client)->answers(), answered);
  }
  // Runs `work` while account "busy", known already, is looked up anew.
  void WhileALookupIsUnderWay(const std::function<void()>& work) {
    std::promise<void> asked, answer;
    std::atomic<bool> first = true;
    const auto usual = servers_.resolve;
    servers_.resolve = [&](const std::string& host) {
      if (first.exchange(false)) {
        asked.set_value();
        answer.get_future().wait();
      }
      return usual(host);
    };
    std::thread visit([&] { (void)For(Account("busy")); });
    const auto begun = asked.get_future().wait_for(std::chrono::seconds(10));
    EXPECT_EQ(begun, std::future_status::ready);
    if (begun == std::future_status::ready) work();
    answer.set_value();
    visit.join();
    servers_.resolve = usual;
  }
  Addresses Dialled() {
    Addresses out;
    for (const kube::ClusterAccess& one : world().dialled) {
      EXPECT_EQ(one.host, kHost) << "the server is asked by its name";
      out.push_back(one.address);
    }
    return out;
  }

  Servers servers_;
  int lookups_ = 0;
  std::unique_ptr<World> world_;
};

TEST_F(ClusterPoolTest, ANameThatMovesIsFollowedAfterAMinute) {
  const auto first = For();
  ASSERT_TRUE(first.ok()) << first.status();
  Resolves(Addresses{"10.0.0.2"});
  servers_.clock.Advance(base::milliseconds(59'999));
  EXPECT_EQ(*For(), *first);
  EXPECT_EQ(lookups_, 1);
  servers_.clock.Advance(base::milliseconds(1));
  EXPECT_NE(*For(), *first);
  EXPECT_THAT(Dialled(), ElementsAre("10.0.0.1", "10.0.0.2"));
}

TEST_F(ClusterPoolTest, AnAddressThatAnswersIsKeptAsLongAsTheNameHasIt) {
  const auto first = For();
  Resolves(Addresses{"10.0.0.2", "10.0.0.1"});
  for (int i = 0; i < 5; ++i) {
    Call(true);
    servers_.clock.Advance(base::seconds(60));
    EXPECT_EQ(*For(), *first);
  }
  EXPECT_EQ(lookups_, 6);
}

TEST_F(ClusterPoolTest, OneThatDoesNotAnswerIsLeftForTheNextAndAllHaveTheirTurn) {
  Resolves(Addresses{"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  for (int i = 0; i < 4; ++i) {
    Call(false);
    servers_.clock.Advance(base::seconds(60));
  }
  EXPECT_THAT(Dialled(), ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"));
}

TEST_F(ClusterPoolTest, TheOnlyAddressKeepsItsClientThoughItDoesNotAnswer) {
  const auto first = For();
  Call(false);
  servers_.clock.Advance(base::seconds(60));
  EXPECT_EQ(*For(), *first) << "its pause goes on";
}

TEST_F(ClusterPoolTest, WhileNameServersAreSilentAClientStaysAndOthersAreUnavailable) {
  const auto first = For();
  Resolves(absl::UnavailableError("Temporary failure in name resolution"));
  servers_.clock.Advance(base::seconds(60));
  EXPECT_EQ(*For(), *first);
  EXPECT_EQ(*For(), *first);
  EXPECT_EQ(lookups_, 2) << "not at every visit";
  EXPECT_EQ(For(Account("other")).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClusterPoolTest, ANameThatMovesToAForbiddenAddressIsRefused) {
  ASSERT_TRUE(For().ok());
  for (const char* forbidden : {"127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0"}) {
    Resolves(Addresses{"10.0.0.1", forbidden});
    servers_.clock.Advance(base::seconds(60));
    for (int i = 0; i < 2; ++i) {
      const absl::Status refused = For().status();
      EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << forbidden;
      EXPECT_THAT(refused.ToString(), HasSubstr(forbidden));
    }
  }
  EXPECT_THAT(Dialled(), ElementsAre("10.0.0.1"));
}

TEST_F(ClusterPoolTest, SlowNameServersHoldUpOneVisitOfWhatIsKnown) {
  ASSERT_TRUE(For(Account("busy")).ok());
  const auto known = For();
  servers_.clock.Advance(base::seconds(60));
  const int before = lookups_;
  WhileALookupIsUnderWay([&] {
    EXPECT_EQ(*For(), *known);
    EXPECT_EQ(lookups_, before) << "nobody else waits";
  });
}

TEST_F(ClusterPoolTest, WhatWasRefusedStaysRefusedWhileOthersAreLookedUp) {
  ASSERT_TRUE(For(Account("busy")).ok());
  ASSERT_TRUE(For().ok());
  servers_.clock.Advance(base::seconds(60));
  Resolves(Addresses{"127.0.0.1"});
  ASSERT_FALSE(For().ok());
  WhileALookupIsUnderWay([&] { EXPECT_FALSE(For().ok()); });
}

TEST_F(ClusterPoolTest, AHubThatAnswersNonsenseIsNoBadCredential) {
  net::LoopThread loop("hub");
  loop.Start();
  {
    const auto hub = ClusterClient::Over(
        std::make_unique<fakes::MemoryTransport>(
            [](const net::HttpRequest&, const std::shared_ptr<fakes::FakeReply>& reply) {
              reply->Headers(200, {});
              reply->Data("<html>");
              reply->End();
            },
            &loop),
        "hub", kube::TokenSource("", ""), {}, &loop);
    const absl::Status status = ClusterPool(hub, nullptr).For(Account()).status();
    EXPECT_STREQ(ReasonOf(status), kReasonClusterUnreachable) << status;
  }
  std::promise<void> closed;
  loop.Post([&] { closed.set_value(); });
  closed.get_future().wait();
  loop.Stop();
}

TEST(ResolveHost, WhatIsNotKnownNowIsTriedAgainAndIsNoBadCredential) {
  for (const int error : {EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_FAMILY, EAI_MEMORY, EAI_SYSTEM}) {
    const absl::Status status = NotResolved(kHost, error, ECONNREFUSED);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << gai_strerror(error);
    EXPECT_STREQ(ReasonOf(status), kReasonClusterUnreachable) << gai_strerror(error);
    EXPECT_THAT(status.ToString(), HasSubstr(kHost));
  }
  EXPECT_THAT(NotResolved(kHost, EAI_SYSTEM, ECONNREFUSED).ToString(), HasSubstr("refused"));
}

TEST(ResolveHost, LiteralsOfBothFamiliesAreTheirOneSpelling) {
  const std::pair<const char*, const char*> table[] = {{"10.1.2.3", "10.1.2.3"},
                                                       {"0x0a.1.2.3", "10.1.2.3"},
                                                       {"2001:DB8:0::1", "2001:db8::1"},
                                                       {"::ffff:127.0.0.1", "::ffff:127.0.0.1"}};
  for (const auto& [host, address] : table) {
    const auto resolved = ResolveHost(host);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_THAT(*resolved, ElementsAre(address));
  }
}

TEST_F(ClusterPoolTest, AnotherSecretVersionOrKeyIsAnotherClient) {
  const auto first = For();
  api::ClusterAccount other = Account();
  other.connection.kubeconfig.secret_key = "other";
  EXPECT_EQ(For(other).status().code(), absl::StatusCode::kNotFound);
  world().On([&] {
    servers_.hub.Edit("secrets", kSpace, "spoke-kubeconfig", [](Json::Value* live) {
      (*live)["data"]["other"] = (*live)["data"]["value"];
    });
  });
  EXPECT_NE(*For(), *first);
  EXPECT_TRUE(For(other).ok());
  EXPECT_THAT(Dialled(), ElementsAre("10.0.0.1", "10.0.0.1", "10.0.0.1"));
}

}  // namespace
}  // namespace fairlead::op
