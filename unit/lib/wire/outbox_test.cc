#include "lib/wire/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include <set>

#include "lib/base/backoff.h"
#include "lib/wire/codec.h"

namespace fairlead::wire {
namespace {

namespace v1 = fairlead::agent::v1;
using base::milliseconds;
using base::minutes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const base::Time t0{base::hours(1)};

v1::Change Upsert(const std::string& name, const std::string& version,
                  const std::string& body = "{}") {
  v1::Change change;
  change.set_operation(v1::Change::UPSERT);
  change.set_name_space("ns");
  change.set_name(name);
  change.set_uid("u");
  change.set_resource_version(version);
  change.set_history(1);
  change.set_content_hash(base::ToBytes(base::Sha256Trunc128(body)));
  change.set_body(body);
  return change;
}

// That nothing makes much shorter.
std::string RandomText(size_t bytes) {
  static std::mt19937 random(7);
  std::string text;
  while (text.size() < bytes) text += static_cast<char>('!' + random() % 90);
  return text;
}

class OutboxTest : public ::testing::Test {
 protected:
  explicit OutboxTest(OutboxOptions options = {}) {
    Outbox::Shard shard;
    shard.account_uid = std::string(16, 'a');
    shard.last_seq = 41;
    shard.prefix = true;
    outbox_ = std::make_unique<Outbox>(shard, options);
    Outbox::Watch watch;
    watch.kind.set_resource("pods");
    watch.kind.set_kind("Pod");
    watch.kind.set_version("v1");
    watch.rules_hash = std::string(16, 'r');
    watch.anchors_at = [](const std::string& version, v1::Checkpoint* checkpoint) {
      checkpoint->add_anchors()->set_name("at-" + version);
      checkpoint->mutable_anchors(0)->set_resource_version("1");
    };
    pods_ = outbox_->AddWatch(watch);
  }
  // The next batch's entries as words; empty when there is none.
  std::vector<std::string> Next(base::Time now) {
    auto batch = outbox_->Next(now);
    EXPECT_TRUE(batch.ok()) << batch.status().ToString();
    if (!batch.ok() || !batch->has_value()) return {};
    last_ = **batch;
    v1::Payload payload;
    EXPECT_TRUE(DecodePayload(last_.codec(), last_.raw_bytes(), last_.payload(), &payload,
                              last_.prefixed() ? &history_ : nullptr)
                    .ok());
    std::vector<std::string> words;
    for (const v1::Entry& entry : payload.entries()) {
      if (entry.has_change())
        words.push_back(entry.change().name() + "@" + entry.change().resource_version());
      if (entry.has_checkpoint()) {
        words.push_back("checkpoint " + entry.checkpoint().resource_version());
        EXPECT_EQ(entry.checkpoint().anchors(0).name(),
                  "at-" + entry.checkpoint().resource_version());
      }
      if (entry.has_snapshot_begin()) words.emplace_back("begin");
      if (entry.has_snapshot_page())
        words.push_back("page " + std::to_string(entry.snapshot_page().items_size()));
      if (entry.has_snapshot_end())
        words.push_back("end " + std::to_string(entry.snapshot_end().count()));
    }
    return words;
  }
  void Ack(uint64_t seq, uint64_t credit = 1 << 20, uint32_t delay = 2) {
    v1::Ack ack;
    ack.set_seq(seq);
    ack.set_credit_bytes(credit);
    ack.set_flush_delay_ms(delay);
    outbox_->OnAck(ack);
  }
  void Event(const std::string& name, int version) {
    outbox_->Change(pods_, Upsert(name, std::to_string(version)), std::to_string(version - 1), t0);
    outbox_->Seen(pods_, 1, std::to_string(version), t0);
  }
  static v1::SnapshotItem Item(const std::string& name) {
    v1::SnapshotItem item;
    item.set_name_space("ns");
    item.set_name(name);
    item.set_uid("u");
    item.set_resource_version("5");
    item.set_content_hash(std::string(16, 'h'));
    return item;
  }
  static v1::SnapshotBegin Begin(char id = 's') {
    v1::SnapshotBegin begin;
    begin.set_snapshot_id(std::string(16, id));
    begin.set_history(1);
    begin.set_complete_list(true);
    return begin;
  }

  std::unique_ptr<Outbox> outbox_;
  int pods_ = 0;
  v1::Batch last_;
  PayloadHistory history_;  // the endpoint's
};

TEST_F(OutboxTest, AChangeGoesAtOnceWhenNothingIsOnItsWayAndBringsItsPosition) {
  Event("a", 10);
  EXPECT_EQ(outbox_->NextWake(), t0);
  EXPECT_THAT(Next(t0), ElementsAre("a@10", "checkpoint 10"));
  EXPECT_EQ(last_.seq(), 42U);
  EXPECT_EQ(outbox_->pending_bytes(), 0U);
}

TEST_F(OutboxTest, WhatFollowsIsGatheredForTheFlushDelay) {
  Ack(41);
  Event("a", 10);
  EXPECT_THAT(Next(t0), ElementsAre("a@10", "checkpoint 10"));
  Event("b", 11);
  Event("c", 12);
  EXPECT_THAT(Next(t0), IsEmpty());
  EXPECT_EQ(outbox_->NextWake(), t0 + milliseconds(2));
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("b@11", "c@12", "checkpoint 12"));
}

TEST_F(OutboxTest, WhatABatchHasInCommonWithTheOneBeforeIsNotSentAgain) {
  const std::string body = RandomText(4000);
  outbox_->Change(pods_, Upsert("a", "10", body), "9", t0);
  EXPECT_THAT(Next(t0), ElementsAre("a@10"));
  EXPECT_GT(last_.payload().size(), 3000U);
  Ack(42);
  outbox_->Change(pods_, Upsert("a", "11", body + "x"), "10", t0);
  EXPECT_THAT(Next(t0), ElementsAre("a@11"));
  EXPECT_LT(last_.payload().size(), 200U);
}

TEST_F(OutboxTest, NothingHasASecretInCommonWithAnything) {
  Outbox::Watch watch;
  watch.kind.set_resource("secrets");
  watch.kind.set_kind("Secret");
  watch.kind.set_version("v1");
  const int secrets = outbox_->AddWatch(watch);
  const std::string body = RandomText(4000);
  outbox_->Change(pods_, Upsert("guess", "10", body), "9", t0);
  EXPECT_THAT(Next(t0), ElementsAre("guess@10"));
  Ack(42);
  outbox_->Change(secrets, Upsert("s", "11", body), "10", t0);
  EXPECT_THAT(Next(t0), ElementsAre("s@11"));
  EXPECT_GT(last_.payload().size(), 3000U) << "the guess of a Secret does not make it shorter";
  const std::string other = RandomText(4000);
  outbox_->Change(secrets, Upsert("s", "12", other), "11", t0);
  Ack(43);
  EXPECT_THAT(Next(t0), ElementsAre("s@12"));
  Ack(44);
  outbox_->Change(pods_, Upsert("guess", "13", other), "12", t0);
  EXPECT_THAT(Next(t0), ElementsAre("guess@13"));
  EXPECT_GT(last_.payload().size(), 3000U) << "nor does a Secret its guess";
}

TEST_F(OutboxTest, AnEndpointThatAsksForPatienceIsSentNothingAtOnce) {
  Ack(41, 1 << 20, 200);
  Event("a", 10);
  EXPECT_THAT(Next(t0), IsEmpty());
  EXPECT_EQ(outbox_->NextWake(), t0 + milliseconds(200));
}

TEST_F(OutboxTest, ChangesOfOneObjectAreCoalescedInTheOldestsPlace) {
  Event("a", 10);
  Event("b", 11);
  Event("a", 12);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@12", "b@11", "checkpoint 12"));
  EXPECT_EQ(outbox_->coalesced(), 1U);
}

// A body that was asked for is read beside the watch, and may come after what the watch said since.
TEST_F(OutboxTest, AnOlderStateNeverReplacesANewerOneThatIsPending) {
  Event("a", 10);
  v1::Change deleted = Upsert("a", "12", "");
  deleted.set_operation(v1::Change::DELETE);
  deleted.clear_body();
  deleted.clear_content_hash();
  outbox_->Change(pods_, deleted, "11", t0);
  outbox_->Change(pods_, Upsert("a", "11"), "12", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@12", "checkpoint 10"));
  Ack(42);
  v1::Change restored = Upsert("b", "3");
  restored.set_history(2);
  Event("b", 20);
  outbox_->Change(pods_, restored, "", t0);
  EXPECT_THAT(Next(t0 + milliseconds(4)), ::testing::Contains("b@3")) << "of a newer history";
}

TEST_F(OutboxTest, ACheckpointNeverOvertakesAPendingChange) {
  const std::string large(300 << 10, 'x');
  outbox_->Change(pods_, Upsert("a", "10", large), "9", t0);
  outbox_->Change(pods_, Upsert("b", "11", large), "10", t0);
  outbox_->Seen(pods_, 1, "11", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@10", "checkpoint 10"));
  Ack(42);
  EXPECT_THAT(Next(t0 + milliseconds(3)), ElementsAre("b@11", "checkpoint 11"));
}

TEST_F(OutboxTest, ACheckpointDoesNotOvertakeACoalescedChange) {
  const std::string large(300 << 10, 'x');
  outbox_->Change(pods_, Upsert("a", "10", large), "9", t0);
  outbox_->Change(pods_, Upsert("b", "11"), "10", t0);
  outbox_->Change(pods_, Upsert("b", "30"), "29", t0);
  outbox_->Seen(pods_, 1, "30", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@10", "checkpoint 10"));
}

TEST_F(OutboxTest, WithoutChangesThePositionGoesEveryTwoMinutesInOneBatch) {
  outbox_->Seen(pods_, 1, "10", t0);
  outbox_->Seen(pods_, 1, "20", t0 + minutes(1));
  EXPECT_THAT(Next(t0 + minutes(1)), IsEmpty());
  EXPECT_EQ(outbox_->NextWake(), t0 + minutes(2));
  EXPECT_THAT(Next(t0 + minutes(2)), ElementsAre("checkpoint 20"));
  EXPECT_EQ(outbox_->NextWake(), base::Time::max());
  EXPECT_THAT(Next(t0 + minutes(20)), IsEmpty()) << "a position that did not move is not written";
}

TEST_F(OutboxTest, NothingBeyondTheCreditIsSentButOneBatchAlwaysIs) {
  Event("a", 10);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@10", "checkpoint 10"));
  Event("b", 11);
  EXPECT_THAT(Next(t0 + milliseconds(9)), IsEmpty());
  EXPECT_EQ(outbox_->NextWake(), base::Time::max());
  Ack(42, 0);
  EXPECT_THAT(Next(t0 + milliseconds(9)), ElementsAre("b@11", "checkpoint 11"));
}

TEST_F(OutboxTest, LiveChangesGoBeforePagesAndNoCheckpointFallsBetween) {
  outbox_->SnapshotBegin(pods_, Begin(), t0);
  outbox_->SnapshotItem(pods_, Item("a"), t0);
  outbox_->SnapshotPage(pods_, t0);
  Event("b", 10);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("begin", "b@10", "page 1"));
  EXPECT_FALSE(outbox_->PagesAnswered(pods_));
  outbox_->OnWant(std::string(16, 's'), 42);
  EXPECT_TRUE(outbox_->PagesAnswered(pods_));
  Ack(42);
  outbox_->SnapshotEnd(pods_, "10", true, false, t0);
  EXPECT_THAT(Next(t0 + milliseconds(4)), ElementsAre("end 1", "checkpoint 10"));
}

TEST_F(OutboxTest, ABeginIsNeitherOvertakenNorInABatchWithWhatWasThereBefore) {
  Event("a", 10);
  outbox_->SnapshotBegin(pods_, Begin(), t0);
  outbox_->Change(pods_, Upsert("b", "12"), "11", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@10"));
  Ack(42);
  EXPECT_THAT(Next(t0 + milliseconds(4)), ElementsAre("begin", "b@12"));
}

TEST_F(OutboxTest, AChangeAfterABeginDoesNotJoinOneFromBefore) {
  Event("a", 10);
  outbox_->SnapshotBegin(pods_, Begin(), t0);
  outbox_->Change(pods_, Upsert("a", "12"), "11", t0);
  outbox_->Change(pods_, Upsert("a", "13"), "12", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@10"));
  Ack(42);
  EXPECT_THAT(Next(t0 + milliseconds(4)), ElementsAre("begin", "a@13"));
  EXPECT_EQ(outbox_->pending_bytes(), 0U);
}

// They would land behind the old position, with the begin that ends it only in the next batch: an
// agent that goes on from there, proven by older anchors, would never see that they are not.
TEST_F(OutboxTest, ABeginInANewHistoryDropsWhatIsPendingOfTheOneBefore) {
  outbox_->Change(pods_, Upsert("a", "30"), "20", t0);
  outbox_->Seen(pods_, 1, "30", t0);
  v1::SnapshotBegin begin = Begin();
  begin.set_history(2);
  outbox_->SnapshotBegin(pods_, begin, t0);
  v1::Change live = Upsert("a", "21");
  live.set_history(2);
  outbox_->Change(pods_, live, "20", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("begin", "a@21"));
  EXPECT_EQ(outbox_->pending_bytes(), 0U);
  EXPECT_EQ(outbox_->NextWake(), base::Time::max());
}

TEST_F(OutboxTest, AfterAnAbandonedSnapshotNoPositionGoesUntilOneIsSeen) {
  outbox_->Seen(pods_, 1, "41", t0);
  outbox_->SnapshotBegin(pods_, Begin(), t0);
  outbox_->Change(pods_, Upsert("a", "92"), "91", t0);
  outbox_->AbandonSnapshot(pods_);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("a@92"));
  Ack(42);
  EXPECT_THAT(Next(t0 + minutes(5)), IsEmpty());
  outbox_->Seen(pods_, 1, "95", t0 + minutes(5));
  EXPECT_THAT(Next(t0 + minutes(8)), ElementsAre("checkpoint 95"));
}

TEST_F(OutboxTest, ADroppedPageCountsOnce) {
  outbox_->SnapshotBegin(pods_, Begin(), t0);
  outbox_->SnapshotItem(pods_, Item("a"), t0);
  outbox_->DropPage(pods_);
  outbox_->SnapshotItem(pods_, Item("a"), t0);
  outbox_->SnapshotPage(pods_, t0);
  outbox_->SnapshotEnd(pods_, "10", true, false, t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("begin", "page 1", "end 1"));
}

TEST_F(OutboxTest, AnAbandonedSnapshotLeavesNothing) {
  outbox_->SnapshotBegin(pods_, Begin(), t0);
  outbox_->SnapshotItem(pods_, Item("a"), t0);
  outbox_->SnapshotPage(pods_, t0);
  outbox_->AbandonSnapshot(pods_);
  EXPECT_THAT(Next(t0 + milliseconds(2)), IsEmpty());
  EXPECT_EQ(outbox_->pending_bytes(), 0U);
}

// An end that is still pending when the next snapshot begins is not lost with that one, nor is it
// overtaken by its begin: the endpoint would know it no more, and what it should delete stayed.
TEST_F(OutboxTest, AnEndGoesBeforeTheNextBeginAndOutlivesIt) {
  outbox_->SnapshotBegin(pods_, Begin('1'), t0);
  outbox_->SnapshotPage(pods_, t0);
  outbox_->SnapshotEnd(pods_, "10", true, false, t0);
  outbox_->Seen(pods_, 1, "10", t0);
  outbox_->SnapshotBegin(pods_, Begin('2'), t0);
  outbox_->SnapshotItem(pods_, Item("a"), t0);
  outbox_->SnapshotPage(pods_, t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("begin", "end 0"));
  Ack(42);
  outbox_->AbandonSnapshot(pods_);
  EXPECT_THAT(Next(t0 + milliseconds(9)), IsEmpty());
  EXPECT_EQ(outbox_->pending_bytes(), 0U);
}

TEST_F(OutboxTest, AnAbandonedSnapshotLeavesTheEndOfTheOneBefore) {
  outbox_->SnapshotBegin(pods_, Begin('1'), t0);
  outbox_->SnapshotPage(pods_, t0);
  outbox_->SnapshotEnd(pods_, "10", true, false, t0);
  outbox_->SnapshotBegin(pods_, Begin('2'), t0);
  outbox_->AbandonSnapshot(pods_);
  outbox_->Seen(pods_, 1, "12", t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("begin", "end 0", "checkpoint 12"));
  EXPECT_EQ(outbox_->pending_bytes(), 0U);
}

TEST_F(OutboxTest, NoPositionGoesBeforeAPendingEnd) {
  outbox_->SnapshotBegin(pods_, Begin('1'), t0);
  EXPECT_THAT(Next(t0 + milliseconds(2)), ElementsAre("begin"));
  outbox_->SnapshotPage(pods_, t0);
  outbox_->SnapshotEnd(pods_, "10", true, false, t0);
  outbox_->SnapshotBegin(pods_, Begin('2'), t0);
  outbox_->AbandonSnapshot(pods_);
  Ack(42);
  const std::string large(300 << 10, 'x');
  outbox_->Change(pods_, Upsert("a", "11", large), "10", t0);
  outbox_->Seen(pods_, 1, "11", t0);
  EXPECT_THAT(Next(t0 + milliseconds(4)), ElementsAre("end 0", "a@11", "checkpoint 11"));
}

TEST_F(OutboxTest, IsCongestedBeyondItsBytes) {
  for (int i = 0; i < 20; ++i) {
    outbox_->Change(pods_, Upsert(std::to_string(i), "5", std::string(1 << 20, 'x')), "4", t0);
  }
  EXPECT_TRUE(outbox_->congested());
}

// Whatever comes in whatever rhythm: the last state of each object arrives, and at each checkpoint
// everything at or before it has arrived.
class OutboxModel : public ::testing::Test {};

TEST_F(OutboxModel, APositionNeverOvertakesAChangeAndTheLastStateWins) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    uint64_t random = seed;
    const auto pick = [&](uint64_t n) { return base::NextRandom(&random) % n; };
    Outbox::Shard shard;
    shard.account_uid = std::string(16, 'a');
    Outbox outbox(shard, {.codec = v1::CODEC_NONE, .batch_raw_bytes = 400});
    Outbox::Watch watch;
    watch.kind.set_resource("pods");
    watch.kind.set_kind("Pod");
    watch.kind.set_version("v1");
    watch.rules_hash = std::string(16, 'r');
    const int pods = outbox.AddWatch(watch);
    std::map<std::string, int> newest;                // by name: last version emitted
    std::vector<std::pair<int, std::string>> events;  // version, name
    std::map<std::string, int> arrived;
    uint64_t seq = 0;
    base::Time now = t0;
    const auto drain = [&] {
      auto batch = outbox.Next(now);
      ASSERT_TRUE(batch.ok());
      if (!batch->has_value()) return;
      ASSERT_EQ((*batch)->seq(), ++seq);
      v1::Payload payload;
      ASSERT_TRUE(
          DecodePayload((*batch)->codec(), (*batch)->raw_bytes(), (*batch)->payload(), &payload)
              .ok());
      for (const v1::Entry& entry : payload.entries()) {
        if (entry.has_change()) {
          arrived[entry.change().name()] = std::stoi(entry.change().resource_version());
          continue;
        }
        const int position = std::stoi(entry.checkpoint().resource_version());
        for (const auto& [version, name] : events) {
          if (version <= position) {
            ASSERT_GE(arrived[name], version) << "seed " << seed;
          }
        }
      }
    };
    int version = 100;
    for (int step = 0; step < 400; ++step) {
      now += milliseconds(pick(3));
      if (pick(3) > 0) {
        const std::string name(1, static_cast<char>('a' + pick(8)));
        const std::string before = std::to_string(version++);
        outbox.Change(pods, Upsert(name, std::to_string(version), std::string(1 + pick(120), 'x')),
                      before, now);
        outbox.Seen(pods, 1, std::to_string(version), now);
        newest[name] = version;
        events.emplace_back(version, name);
      }
      if (pick(4) == 0) drain();
      if (pick(4) == 0) {
        v1::Ack ack;
        ack.set_seq(seq > pick(3) ? seq - pick(2) : seq);
        ack.set_credit_bytes(pick(2000));
        ack.set_flush_delay_ms(static_cast<uint32_t>(pick(5)));
        outbox.OnAck(ack);
      }
      if (HasFatalFailure()) return;
    }
    v1::Ack ack;
    ack.set_credit_bytes(1 << 30);
    for (int i = 0; i < 500; ++i) {
      ack.set_seq(seq);
      outbox.OnAck(ack);
      now += milliseconds(5);
      drain();
      if (HasFatalFailure()) return;
    }
    EXPECT_EQ(arrived, newest) << "seed " << seed;
    EXPECT_EQ(outbox.pending_bytes(), 0U);
  }
}

}  // namespace
}  // namespace fairlead::wire
