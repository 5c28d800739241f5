// Watchers over real TLS sockets, whose connections die: the outbox converges by itself
// (operator-checklist T1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/account/watcher.h"
#include "lib/wire/codec.h"
#include "unit/lib/net/client_scene.h"

namespace fairlead::agent {
namespace {

class WatcherNetworkTest : public net::ClientScene, public WatchHost {
 protected:
  WatcherNetworkTest() {
    wire::Outbox::Shard shard;
    shard.account_uid = std::string(16, 'a');
    outbox_ = std::make_unique<wire::Outbox>(shard, wire::OutboxOptions{.codec = v1::CODEC_NONE});
  }
  void TearDown() override {
    OnClient([&] {
      timer_.reset();
      watchers_.clear();
    });
    ClientScene::TearDown();
  }
  net::HttpTransport* transport() override { return client_.get(); }
  net::Headers RequestHeaders() override { return {}; }
  void OnUnauthorized() override {}
  wire::Outbox* outbox() override { return outbox_.get(); }
  RecentHashes* recent() override { return &recent_; }
  base::Loop* loop() override { return &loop_; }
  WatchCounters* counters() override { return &counters_; }
  void OutboxChanged() override {
    if (!timer_) timer_ = loop_.After(base::milliseconds(5), [this] { Drain(); });
  }
  void AskSnapshot(const kube::WatchTargetSpec&, const std::string& snapshot_id,
                   kube::SnapshotReason) override {
    loop_.Post([this, snapshot_id] {
      for (const auto& watcher : watchers_) {
        if (watcher->snapshot_id() == snapshot_id) watcher->OnAdmitted(snapshot_id);
      }
    });
  }
  void OnWatchState() override {
    const auto count = std::count_if(watchers_.begin(), watchers_.end(), [](const auto& one) {
      return one->state() == kube::WatchState::kWatching;
    });
    signal_.Update([&] { watching_ = static_cast<size_t>(count); });
  }
  // Plays the endpoint: takes batches, acknowledges, and wants no bodies again.
  void Drain() {
    timer_.reset();
    for (;;) {
      const auto batch = outbox_->Next(loop_.clock().Now());
      if (!batch.ok() || !batch->has_value()) break;
      v1::Payload payload;
      ASSERT_TRUE(wire::DecodePayload((*batch)->codec(), (*batch)->raw_bytes(), (*batch)->payload(),
                                      &payload)
                      .ok());
      v1::Ack ack;
      ack.set_seq((*batch)->seq());
      ack.set_credit_bytes(1 << 20);
      outbox_->OnAck(ack);
      for (const v1::Entry& entry : payload.entries()) Take(entry);
    }
    if (outbox_->NextWake() != base::Time::max() && !timer_) {
      timer_ = loop_.After(base::milliseconds(5), [this] { Drain(); });
    }
  }
  void Take(const v1::Entry& entry) {
    if (entry.has_change()) signal_.Update([&] { ++changes_[entry.change().name()]; });
    if (!entry.has_snapshot_page()) return;
    loop_.Post([this] {
      for (const auto& watcher : watchers_) {
        if (watcher->snapshot_id().empty()) continue;
        v1::Want want;
        want.set_snapshot_id(watcher->snapshot_id());
        want.set_through_seq(outbox_->last_seq());
        watcher->OnWant(want);
      }
    });
  }
  void StartWatchers(int count) {
    OnClient([&] {
      for (int i = 0; i < count; ++i) {
        watchers_.push_back(std::make_unique<Watcher>(
            kube::WatchTargetSpec{{"", "v1", "pods", "Pod", true}, "ns-" + std::to_string(i)},
            &scope_, this, static_cast<uint64_t>(i)));
      }
      for (const auto& watcher : watchers_) watcher->Start(std::nullopt);
    });
  }
  bool AllWatch(size_t count) {
    return signal_.Wait([&] { return watching_ == count; });
  }
  void PutPod(const std::string& name_space, const std::string& name) {
    server_->Do([&](fakes::FakeKube& kube) { kube.Put("pods", name_space, name); });
  }
  uint64_t Lists() {
    uint64_t lists = 0;
    OnClient([&] { lists = counters_.lists; });
    return lists;
  }
  bool Arrived(const std::string& name) {
    return signal_.Wait([&] { return changes_.contains(name); });
  }

  kube::ScopeRules scope_{.level_cluster = true};
  WatchCounters counters_;
  RecentHashes recent_{size_t{64} << 10};
  std::unique_ptr<wire::Outbox> outbox_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::unique_ptr<base::Timer> timer_;
  size_t watching_ = 0;
  std::map<std::string, int> changes_;
};

TEST_F(WatcherNetworkTest, ABlackHoledConnectionIsReplacedAndNothingIsListedAgain) {
  PingSoon();
  Begin();
  PutPod("ns-0", "old");
  StartWatchers(1);
  ASSERT_TRUE(AllWatch(1));
  PutPod("ns-0", "before");
  ASSERT_TRUE(Arrived("before"));
  const uint64_t lists = Lists();
  server_->BlackHole();
  PutPod("ns-0", "during");
  EXPECT_TRUE(Arrived("during"));
  EXPECT_EQ(Lists(), lists);
}

TEST_F(WatcherNetworkTest, AServerOfEightStreamsServesTwentyWatchers) {
  Begin({.max_streams = 8});
  StartWatchers(20);
  ASSERT_TRUE(AllWatch(20));
  for (int i = 0; i < 20; ++i) PutPod("ns-" + std::to_string(i), "pod-" + std::to_string(i));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Arrived("pod-" + std::to_string(i)));
}

TEST_F(WatcherNetworkTest, AfterGoawayAndAfterAKillTheChangesGoOn) {
  Begin();
  // An object in each, since a namespace that was empty is listed again when it no longer is.
  for (int i = 0; i < 3; ++i) PutPod("ns-" + std::to_string(i), "old");
  StartWatchers(3);
  ASSERT_TRUE(AllWatch(3));
  const uint64_t lists = Lists();
  server_->Goaway();
  PutPod("ns-1", "after-goaway");
  EXPECT_TRUE(Arrived("after-goaway"));
  server_->Kill();
  PutPod("ns-2", "after-kill");
  EXPECT_TRUE(Arrived("after-kill"));
  EXPECT_EQ(Lists(), lists);
}

}  // namespace
}  // namespace fairlead::agent
