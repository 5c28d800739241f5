#include "endpoint/freshness/monitor.h"

#include "lib/metrics/names.h"
#include "unit/endpoint/freshness/freshness_scene.h"

namespace fairlead::endpoint {
namespace {

using base::minutes;
using base::seconds;

class MonitorTest : public FreshnessScene {
 protected:
  MonitorTest() {
    monitor_ = std::make_unique<FreshnessMonitor>(
        reader_.get(), &board_,
        [this](std::function<void(std::vector<base::U128>)> give) {
          ++asked_;
          if (answers_) give(accounts_);
        },
        &loop_, &metrics_);
  }
  // Of an account with one watch, in sync, of which an agent is there.
  base::U128 AddWatched() {
    const base::U128 uid{accounts_.size() + 1, 7};
    AddAccount(uid);
    Write(uid, {Pod("a"), UpToDate()});
    accounts_.push_back(uid);
    Say(uid, kSaysWatching);
    return uid;
  }
  // What the account's agent says of its pods now.
  void Say(const base::U128& uid, const std::string& state, base::Duration age = seconds(1)) {
    board_.Set(uid, {.granted = true, .term = 1, .synced = true});
    AccountFreshness said;
    said.granted_at = said.reported_at = loop_.clock().Now();
    said.reported = true;
    said.watches = {{"", "pods", "", state, "", base::AgeMs(age)}};
    board_.SetFreshness(uid, said);
  }
  double Watches(const std::string& state) {
    return metrics_.GetGauge(metrics::kFreshnessWatches, "", {{"state", state}}).Value();
  }
  double Oldest() { return metrics_.GetGauge(metrics::kFreshnessOldest, "").Value(); }
  double HeldRows() { return metrics_.GetGauge(metrics::kFreshnessHeld, "").Value(); }
  void OnePass() {
    monitor_->Start();
    loop_.Advance(minutes(1) + seconds(1));
  }

  FleetBoard board_;
  std::vector<base::U128> accounts_;
  int asked_ = 0;
  bool answers_ = true;
  std::unique_ptr<FreshnessMonitor> monitor_;
};

TEST_F(MonitorTest, CountsTheWatchesOfEveryAccountByState) {
  AddWatched();
  Say(AddWatched(), kSaysForbidden);
  Say(AddWatched(), "Listing");
  OnePass();
  EXPECT_EQ(Watches("InSync"), 1);
  EXPECT_EQ(Watches("Forbidden"), 1);
  EXPECT_EQ(Watches("Syncing"), 1);
  EXPECT_EQ(Watches("Stale"), 0);
}

TEST_F(MonitorTest, TheOldestIsNotOneThatItsClusterRefuses) {
  Say(AddWatched(), kSaysWatching, seconds(100));
  Say(AddWatched(), kSaysForbidden, minutes(60));
  ByHand("UPDATE positions SET fresh_ms = fresh_ms - 9000000");  // the agent's word is younger
  OnePass();
  EXPECT_GE(Oldest(), 100);
  EXPECT_LT(Oldest(), 200);
}

TEST_F(MonitorTest, ACountBelongsToOnePassOnly) {
  const base::U128 uid = AddWatched();
  OnePass();
  EXPECT_EQ(Watches("InSync"), 1);
  loop_.Advance(minutes(3));
  Say(uid, kSaysForbidden);
  loop_.Advance(minutes(2));
  EXPECT_EQ(Watches("InSync") + Watches("Stale"), 0);
  EXPECT_EQ(Watches("Forbidden"), 1);
  accounts_.clear();
  loop_.Advance(minutes(2));
  EXPECT_EQ(Watches("Forbidden"), 0) << "the account is gone";
  EXPECT_EQ(Oldest(), 0);
}

TEST_F(MonitorTest, HeldRowsAreCountedUntilTheyAreLetGo) {
  const base::U128 uid = AddWatched();
  Write(uid, {Pod("b")});
  ByHand("UPDATE objects SET held = 1");
  OnePass();
  EXPECT_EQ(HeldRows(), 2);
  EXPECT_EQ(Watches("Held"), 1);
  ByHand("UPDATE objects SET held = 0");
  loop_.Advance(minutes(2));
  EXPECT_EQ(HeldRows(), 0);
}

// Nothing is shown of a pass that is under way: a fleet would seem to shrink and grow.
TEST_F(MonitorTest, APassTakesAMinuteWhateverTheNumberOfAccounts) {
  for (int i = 0; i < 9; ++i) AddWatched();
  monitor_->Start();
  loop_.Advance(seconds(47));
  EXPECT_EQ(Watches("InSync"), 0);
  loop_.Advance(seconds(6));
  EXPECT_EQ(Watches("InSync"), 9);
  EXPECT_EQ(asked_, 1);
  loop_.Advance(seconds(8));
  EXPECT_EQ(asked_, 2);
}

TEST_F(MonitorTest, BeyondTwelveHundredAccountsThereAreFiftyMillisecondsForEach) {
  AddWatched();
  accounts_.resize(2000, base::U128{9, 9});  // as if nothing of them were stored
  monitor_->Start();
  loop_.Advance(seconds(99));
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(Watches("InSync"), 0);
  loop_.Advance(seconds(2));
  EXPECT_EQ(Watches("InSync") + Watches("Stale") + Watches("Syncing"), 1);
}

TEST_F(MonitorTest, AListThatNeverComesIsAskedForAgain) {
  answers_ = false;
  AddWatched();
  OnePass();
  EXPECT_EQ(asked_, 2);
  answers_ = true;
  loop_.Advance(minutes(2));
  EXPECT_EQ(Watches("InSync"), 1);
}

TEST_F(MonitorTest, AnAccountThatCannotBeReadIsLeftOutAndTheRestIsCounted) {
  AddWatched();
  ByHand("ALTER TABLE positions RENAME TO elsewhere");
  OnePass();
  EXPECT_EQ(Watches("InSync"), 0);
  ByHand("ALTER TABLE elsewhere RENAME TO positions");
  Say(accounts_[0], kSaysWatching);
  loop_.Advance(minutes(1));
  EXPECT_EQ(Watches("InSync"), 1);
}

}  // namespace
}  // namespace fairlead::endpoint
