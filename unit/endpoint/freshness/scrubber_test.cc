#include "endpoint/freshness/scrubber.h"

#include "endpoint/store/scrub.h"
#include "lib/metrics/names.h"
#include "unit/endpoint/freshness/freshness_scene.h"

namespace fairlead::endpoint {
namespace {

using base::milliseconds;

class ScrubberTest : public FreshnessScene {
 protected:
  ScrubberTest() : scrubber_(reader_.get(), writer_.get(), &loop_, &metrics_) {
    AddAccount(uid_);
    Write(uid_, {Pod("a"), Pod("b"), Pod("c")});
  }
  // One page for each row.
  void Scrub() {
    scrubber_.Scrub({{uid_, 0}, "", "pods", "", {}, /*most_bytes=*/1}, [this] {
      ++done_;
      damaged_when_done_ = Marked();
    });
  }
  // Rows whose hash was taken; -1: that cannot be read.
  int64_t Marked() {
    const auto query = store_->connection().Prepare(
        "SELECT count(*) FROM objects WHERE content_hash = zeroblob(16)");
    if (!query.ok()) return -1;
    EXPECT_TRUE(*(*query)->Step());
    return (*query)->Int(0);
  }
  void Damage(const std::string& name) {
    ByHand("UPDATE objects SET content_hash = object_key WHERE name = '" + name + "'");
  }
  double Hashed() { return metrics_.GetCounter(metrics::kAuditRowsHashed, "").Value(); }
  double Damaged() { return metrics_.GetCounter(metrics::kAuditRowsDamaged, "").Value(); }

  const base::U128 uid_{3, 4};
  Scrubber scrubber_;
  int done_ = 0;
  int64_t damaged_when_done_ = -1;
};

TEST_F(ScrubberTest, HashesEveryRowAndSaysOnceThatItIsDone) {
  Scrub();
  EXPECT_EQ(done_, 0) << "not on the caller's thread";
  loop_.Run();
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(Hashed(), 3);
  EXPECT_EQ(Damaged(), 0);
  loop_.Advance(base::seconds(1));
  EXPECT_EQ(Marked(), 0);
  EXPECT_EQ(done_, 1);
}

TEST_F(ScrubberTest, WhatWasFoundIsMarkedBeforeItIsDone) {
  Damage("a");
  Damage("c");
  Scrub();
  loop_.Advance(base::seconds(1));
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(damaged_when_done_, 2);
  EXPECT_EQ(Hashed(), 3);
  EXPECT_EQ(Damaged(), 2);
}

TEST_F(ScrubberTest, ItWaitsForTheWriterAndHoldsNothingElseUp) {
  Damage("c");
  writer_->SetPaused(true);
  Scrub();
  bool other = false;
  loop_.Post([&other] { other = true; });
  loop_.Advance(base::minutes(1));
  EXPECT_TRUE(other);
  EXPECT_EQ(done_, 0);
  writer_->SetPaused(false);
  loop_.Advance(milliseconds(10));
  EXPECT_EQ(damaged_when_done_, 1);
}

TEST_F(ScrubberTest, BetweenPagesTheLoopIsFree) {
  Scrub();
  double hashed_then = -1;
  // Posted behind the first page, and before the second.
  loop_.Post([&] { hashed_then = Hashed(); });
  loop_.Run();
  EXPECT_EQ(hashed_then, 1);
  EXPECT_EQ(Hashed(), 3);
}

TEST_F(ScrubberTest, OtherRowsThanItWasAskedForAreLeftAlone) {
  const base::U128 other{5, 6};
  AddAccount(other);
  Write(other, {Pod("a")});
  Damage("a");
  Scrub();
  loop_.Advance(base::seconds(1));
  EXPECT_EQ(Damaged(), 1);
  EXPECT_EQ(Marked(), 1);
  EXPECT_EQ(Hashed(), 3);
}

// The list that follows says the rest.
TEST_F(ScrubberTest, WhatCannotBeReadHoldsNoAuditUp) {
  ByHand("ALTER TABLE objects RENAME TO elsewhere");
  Scrub();
  loop_.Run();
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(Hashed(), 0);
}

TEST_F(ScrubberTest, WhatCannotBeMarkedHoldsNoAuditUp) {
  Damage("a");
  ByHand("CREATE TRIGGER never BEFORE UPDATE ON objects BEGIN SELECT RAISE(FAIL, 'no'); END");
  Scrub();
  loop_.Advance(base::seconds(1));
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(damaged_when_done_, 0);
  EXPECT_EQ(Damaged(), 1);
}

}  // namespace
}  // namespace fairlead::endpoint
