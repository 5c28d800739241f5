#include "agent/account/watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/wire/codec.h"
#include "unit/fakes/fake_kube.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::agent {
namespace {

using base::minutes;
using base::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WatcherTest : public ::testing::Test, public WatchHost {
 protected:
  WatcherTest() {
    wire::Outbox::Shard shard;
    shard.account_uid = std::string(16, 'a');
    outbox_ = std::make_unique<wire::Outbox>(shard, wire::OutboxOptions{.codec = v1::CODEC_NONE});
    kube_.Serve({.version = "v1", .resource = "pods", .kind = "Pod"});
    watcher_ = std::make_unique<Watcher>(kube::WatchTargetSpec{{"", "v1", "pods", "Pod", true}, ""},
                                         &scope_, this, 1);
  }

  net::HttpTransport* transport() override { return &transport_; }
  net::Headers RequestHeaders() override { return {}; }
  void OnUnauthorized() override {}
  wire::Outbox* outbox() override { return outbox_.get(); }
  RecentHashes* recent() override { return &recent_; }
  base::Loop* loop() override { return &loop_; }
  WatchCounters* counters() override { return &counters_; }
  void OutboxChanged() override { wake_ = outbox_->NextWake(); }
  void AskSnapshot(const kube::WatchTargetSpec&, const std::string& snapshot_id,
                   kube::SnapshotReason) override {
    asked_.push_back(snapshot_id);
  }
  void OnWatchState() override {}

  // What would be sent now, as words; acknowledged at once.
  std::vector<std::string> Sent() {
    loop_.Advance(base::milliseconds(5));
    std::vector<std::string> words;
    for (;;) {
      const auto batch = outbox_->Next(loop_.clock().Now());
      if (!batch.ok() || !batch->has_value()) return words;
      v1::Payload payload;
      EXPECT_TRUE(wire::DecodePayload((*batch)->codec(), (*batch)->raw_bytes(), (*batch)->payload(),
                                      &payload)
                      .ok());
      for (const v1::Entry& entry : payload.entries()) words.push_back(Word(entry));
      v1::Ack ack;
      ack.set_seq((*batch)->seq());
      ack.set_credit_bytes(1 << 20);
      outbox_->OnAck(ack);
    }
  }
  static std::string Word(const v1::Entry& entry) {
    if (entry.has_change()) {
      return (entry.change().operation() == v1::Change::DELETE ? "-" : "+") + entry.change().name();
    }
    if (entry.has_snapshot_begin()) return "begin";
    if (entry.has_snapshot_page()) {
      return "page " + std::to_string(entry.snapshot_page().items_size());
    }
    if (!entry.has_snapshot_end()) return "checkpoint";
    return entry.snapshot_end().incomplete() ? "incomplete end" : "end";
  }
  // A first snapshot, admitted and ended.
  void Settle() {
    watcher_->Start(std::nullopt);
    loop_.Run();
    watcher_->OnAdmitted(asked_.back());
    loop_.Run();
    (void)Sent();
    EndSnapshot();
    ASSERT_EQ(watcher_->state(), kube::WatchState::kWatching);
  }
  // The endpoint answers all pages of the snapshot asked for last: it wants these pods of "shop".
  void Want(const std::vector<std::string>& names) {
    v1::Want want;
    want.set_snapshot_id(asked_.back());
    want.set_through_seq(outbox_->last_seq());
    for (const std::string& name : names) {
      v1::ObjectName* one = want.add_names();
      one->set_name_space("shop");
      one->set_name(name);
    }
    watcher_->OnWant(want);
    loop_.Run();
  }
  void EndSnapshot() { Want({}); }

  fakes::ManualLoop loop_;
  fakes::FakeKube kube_;
  fakes::MemoryTransport transport_{&kube_, &loop_};
  kube::ScopeRules scope_{.level_cluster = true};
  WatchCounters counters_;
  std::vector<std::string> asked_;
  base::Time wake_;  // of the outbox, when its owner was told last
  RecentHashes recent_{size_t{64} << 10};
  std::unique_ptr<wire::Outbox> outbox_;
  std::unique_ptr<Watcher> watcher_;
};

TEST_F(WatcherTest, AFirstSnapshotAndThenTheChanges) {
  kube_.Put("pods", "shop", "web");
  watcher_->Start(std::nullopt);
  loop_.Run();
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_THAT(Sent(), IsEmpty());
  watcher_->OnAdmitted(asked_[0]);
  loop_.Run();
  EXPECT_THAT(Sent(), ElementsAre("begin", "page 1"));
  EndSnapshot();
  EXPECT_THAT(Sent(), ElementsAre("end", "checkpoint"));
  kube_.Put("pods", "shop", "db");
  kube_.Delete("pods", "shop", "web");
  EXPECT_THAT(Sent(), ElementsAre("+db", "-web", "checkpoint"));
}

TEST_F(WatcherTest, AnAbandonedSnapshotKeepsItsAdmissionAndNoPositionGoesMeanwhile) {
  for (int i = 0; i < 600; ++i) kube_.Put("pods", "shop", "web-" + std::to_string(i));
  watcher_->Start(std::nullopt);
  loop_.Run();
  kube_.Inject("continue=", {.status = 410, .reason = "Expired"});
  watcher_->OnAdmitted(asked_[0]);
  loop_.Run();
  kube_.Put("pods", "shop", "db");
  EXPECT_THAT(Sent(), ElementsAre("+db")) << "not all pages came, so no checkpoint";
  loop_.Advance(minutes(3));
  EXPECT_EQ(asked_.size(), 1U) << "the place in line was never given back";
  EXPECT_THAT(Sent(), ::testing::Contains("begin"));
  EndSnapshot();
  EXPECT_THAT(Sent(), ElementsAre("end", "checkpoint"));
}

// A server that has just started answers 404 to paths of custom resources; that is no deletion, and
// the body is still wanted.
TEST_F(WatcherTest, A404ThatNamesNoObjectIsNoDeletion) {
  kube_.Put("pods", "shop", "web");
  watcher_->Start(std::nullopt);
  loop_.Run();
  watcher_->OnAdmitted(asked_[0]);
  loop_.Run();
  EXPECT_THAT(Sent(), ElementsAre("begin", "page 1"));
  kube_.Inject("/namespaces/shop/pods/web", {.status = 404, .body = "404 page not found\n"});
  Want({"web"});
  EXPECT_THAT(Sent(), IsEmpty()) << "no end before the body";
  loop_.Advance(seconds(2));
  EXPECT_THAT(Sent(), ElementsAre("+web", "end", "checkpoint"));
}

TEST_F(WatcherTest, AWantedObjectThatIsGoneHoldsNothingUp) {
  kube_.Put("pods", "shop", "web");
  watcher_->Start(std::nullopt);
  loop_.Run();
  watcher_->OnAdmitted(asked_[0]);
  loop_.Run();
  (void)Sent();
  kube_.Delete("pods", "shop", "web");
  Want({"web"});
  EXPECT_THAT(Sent(), ElementsAre("-web", "end", "checkpoint"));
}

// Read before the object went, and it went while nothing watched: no DELETED event follows it.
TEST_F(WatcherTest, WhatAnAbandonedSnapshotWantedIsNotSentWithinTheNext) {
  kube_.Put("pods", "shop", "web");
  kube_.Put("pods", "shop", "db");
  watcher_->Start(std::nullopt);
  loop_.Run();
  watcher_->OnAdmitted(asked_[0]);
  loop_.Run();
  EXPECT_THAT(Sent(), ElementsAre("begin", "page 2"));
  transport_.set_delay([] { return seconds(10); });
  Want({"web"});
  transport_.set_delay(nullptr);
  kube_.SendRaw("pods",
                R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})");
  kube_.Delete("pods", "shop", "web");
  loop_.Advance(seconds(5));
  EXPECT_THAT(Sent(), ElementsAre("begin", "page 1"));
  loop_.Advance(seconds(10));
  EndSnapshot();
  EXPECT_THAT(Sent(), ElementsAre("end", "checkpoint"));
  EXPECT_EQ(counters_.rereads, 1U);
}

TEST_F(WatcherTest, AnUnreadableItemMakesTheListIncomplete) {
  kube_.Put("pods", "shop", "web");
  kube_.Put("pods", "shop", "odd", R"("metadata":{})");
  watcher_->Start(std::nullopt);
  loop_.Run();
  watcher_->OnAdmitted(asked_[0]);
  loop_.Run();
  EXPECT_THAT(Sent(), ElementsAre("begin", "page 1"));
  EndSnapshot();
  EXPECT_THAT(Sent(), ElementsAre("incomplete end", "checkpoint"));
}

TEST_F(WatcherTest, AnEventThatIsNotUtf8IsCountedAndLeftOutAndTheNextIsSent) {
  Settle();
  (void)Sent();
  kube_.Put("pods", "shop", "poison", "\"spec\":{\"a\":\"\xff\"}");
  kube_.Put("pods", "shop", "web");
  EXPECT_THAT(Sent(), ElementsAre("+web", "checkpoint"));
  EXPECT_EQ(counters_.invalid, 1U);
  kube_.Put("pods", "shop", "poison", "\"spec\":{\"a\":\"fine\"}");
  EXPECT_THAT(Sent(), ::testing::Contains("+poison"));
}

TEST_F(WatcherTest, AConnectionLostWhilePausedIsCheckedAllTheSame) {
  kube_.Put("pods", "shop", "web");
  Settle();
  watcher_->SetPaused(true);
  watcher_->SetPaused(false);
  kube_.EndWatches("pods", /*reset=*/true);
  loop_.Run();
  watcher_->SetPaused(true);
  loop_.Advance(seconds(5));
  watcher_->SetPaused(false);
  loop_.Run();
  EXPECT_EQ(watcher_->state(), kube::WatchState::kWatching);
  EXPECT_EQ(kube_.open_watches("pods"), 1U);
}

TEST_F(WatcherTest, AnEventThatChangesNothingOfTheContentIsNotSentTwice) {
  kube_.Put("pods", "shop", "web", R"("spec":{"a":1})");
  Settle();
  (void)Sent();
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  EXPECT_THAT(Sent(), ElementsAre("+web", "checkpoint"));
  wake_ = base::Time::max();
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  EXPECT_THAT(Sent(), IsEmpty());
  EXPECT_EQ(counters_.unchanged, 1U);
  EXPECT_LT(wake_, base::Time::max()) << "the position goes all the same, in time";
  kube_.Put("pods", "shop", "web", R"("spec":{"a":1})");
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  EXPECT_THAT(Sent(), ElementsAre("+web", "checkpoint")) << "there and back is not the same";
}

TEST_F(WatcherTest, WhatTheStoreRefusedOrTheEndpointWantsIsSentAgain) {
  kube_.Put("pods", "shop", "web", R"("spec":{"a":1})");
  Settle();
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  (void)Sent();
  watcher_->OnRefused("shop", "web");
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  EXPECT_THAT(Sent(), ElementsAre("+web", "checkpoint"));
  Want({"web"});
  EXPECT_THAT(Sent(), ElementsAre("+web"));
}

TEST_F(WatcherTest, WhatWasDeletedAndMadeAgainIsSent) {
  kube_.Put("pods", "shop", "web", R"("spec":{"a":1})");
  Settle();
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  (void)Sent();
  kube_.Delete("pods", "shop", "web");
  EXPECT_THAT(Sent(), ElementsAre("-web", "checkpoint"));
  kube_.Put("pods", "shop", "web", R"("spec":{"a":2})");
  EXPECT_THAT(Sent(), ElementsAre("+web", "checkpoint"));
}

}  // namespace
}  // namespace fairlead::agent
