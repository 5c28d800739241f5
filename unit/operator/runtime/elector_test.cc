#include "operator/runtime/elector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/fakes/fake_hub.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::op {
namespace {

// One process that wants to lead.
class Process {
 public:
  Process(const std::string& identity, fakes::FakeHub* hub, fakes::ManualLoop* loop)
      : transport_(
            [this, hub](const auto& request, auto reply) {
              if (!cut_off) hub->Handle(request, reply);
            },
            loop),
        api_(&transport_, loop, kube::TokenSource("", ""), identity),
        elector_(
            OptionsOf(identity), &api_, loop, [this] { ++led; }, [this] { ++lost; }) {
    elector_.Start();
  }
  [[nodiscard]] bool MayWrite() const { return elector_.MayWrite(); }
  void Release() {
    elector_.Release([this] { released = true; });
  }

  bool cut_off = false;  // requests go out and nothing comes back
  int led = 0;
  int lost = 0;
  bool released = false;

 private:
  static Elector::Options OptionsOf(const std::string& identity) {
    Elector::Options options;
    options.name_space = "s";
    options.name = "lease";
    options.lease.identity = identity;
    return options;
  }
  fakes::MemoryTransport transport_;
  kube::ApiClient api_;
  Elector elector_;
};

class ElectorTest : public ::testing::Test {
 protected:
  // In steps, as time passes; never may two write.
  void Pass(base::Duration time) {
    for (base::Duration t{}; t < time; t += base::milliseconds(100)) {
      loop_.Advance(base::milliseconds(100));
      EXPECT_FALSE(a_.MayWrite() && b_.MayWrite());
    }
  }
  std::string Holder() {
    return hub_.Get("leases", "s", "lease")["spec"]["holderIdentity"].asString();
  }

  fakes::ManualLoop loop_;
  fakes::FakeHub hub_{"hub"};
  Process a_{"a", &hub_, &loop_};
  Process b_{"b", &hub_, &loop_};
};

TEST_F(ElectorTest, OneLeadsAndTheOtherStandsBy) {
  Pass(base::minutes(5));
  EXPECT_EQ(a_.led + b_.led, 1);
  EXPECT_NE(a_.MayWrite(), b_.MayWrite());
  EXPECT_EQ(Holder(), a_.led == 1 ? "a" : "b");
}

TEST_F(ElectorTest, APartitionedLeaderStopsWritingBeforeTheOtherLeads) {
  Pass(base::seconds(10));
  Process& leader = a_.led == 1 ? a_ : b_;
  Process& other = a_.led == 1 ? b_ : a_;
  leader.cut_off = true;
  Pass(base::minutes(1));  // checks that never two may write
  EXPECT_EQ(leader.lost, 1);
  EXPECT_FALSE(leader.MayWrite());
  EXPECT_EQ(other.led, 1);
  EXPECT_TRUE(other.MayWrite());
}

TEST_F(ElectorTest, AStallOfSixSecondsCostsNoLeadership) {
  Pass(base::seconds(10));
  Process& leader = a_.led == 1 ? a_ : b_;
  leader.cut_off = true;
  Pass(base::seconds(6));
  leader.cut_off = false;
  Pass(base::seconds(20));
  EXPECT_EQ(leader.lost, 0);
  EXPECT_TRUE(leader.MayWrite());
}

TEST_F(ElectorTest, AReleasedLeaseIsTakenAtTheNextLook) {
  Pass(base::seconds(10));
  Process& leader = a_.led == 1 ? a_ : b_;
  Process& other = a_.led == 1 ? b_ : a_;
  leader.Release();
  EXPECT_FALSE(leader.MayWrite()) << "from the moment it is given back";
  Pass(base::seconds(5));
  EXPECT_TRUE(leader.released);
  EXPECT_EQ(other.led, 1);
  EXPECT_EQ(leader.led, 1) << "it does not come back by itself";
}

}  // namespace
}  // namespace fairlead::op
