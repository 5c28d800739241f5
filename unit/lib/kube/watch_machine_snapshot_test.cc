#include "unit/lib/kube/watch_machine_scene.h"

namespace fairlead::kube {
namespace {

using base::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- Snapshots.

TEST_F(WatchMachineTest, TheWatchOpensAtTheFirstPagesVersionAndFlowsBesideTheRest) {
  Listing();
  EXPECT_THAT(Words(machine_.OnListItem(Pod("a", "3"), now_)), ElementsAre("begin First", "item"));
  EXPECT_THAT(Words(machine_.OnListPage("10", "t1", now_)),
              ElementsAre("page", "watch 10", "list t1"));
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(Words(machine_.OnEvent(EventType::kAdded, Pod("c", "11"), now_)),
              ElementsAre("upsert"));
  EXPECT_THAT(Words(machine_.OnListItem(Pod("b", "4"), now_)), ElementsAre("item"));
  EXPECT_THAT(Words(machine_.OnListPage("10", "", now_)), ElementsAre("page", "wants"));
  EXPECT_EQ(machine_.state(), WatchState::kListing);
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 10", "moved"));
  EXPECT_EQ(machine_.state(), WatchState::kWatching);
  EXPECT_EQ(machine_.seen_version(), "11");
}

TEST_F(WatchMachineTest, AnEmptyListIsABeginAPageAndAnEnd) {
  Listing();
  EXPECT_THAT(Words(machine_.OnListPage("10", "", now_)),
              ElementsAre("begin First", "page", "watch 10", "wants"));
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 10", "moved"));
}

TEST_F(WatchMachineTest, BookmarksMoveNoPositionWhileASnapshotIsUnderWay) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(Words(machine_.OnBookmark("12", now_)), IsEmpty());
  EXPECT_EQ(machine_.seen_version(), "12");
}

TEST_F(WatchMachineTest, AfterAnAbandonedSnapshotNothingIsAPositionUntilOneEnds) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  (void)machine_.OnListFailed(Expired(), now_);
  ASSERT_FALSE(machine_.in_snapshot());
  EXPECT_THAT(Words(machine_.OnBookmark("12", now_)), IsEmpty());
  EXPECT_FALSE(machine_.position_valid());
  (void)Wake();
  (void)machine_.OnSnapshotAdmitted(now_);
  (void)machine_.OnListPage("15", "", now_);
  EXPECT_FALSE(machine_.position_valid());
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 15", "moved"));
  EXPECT_TRUE(machine_.position_valid());
}

TEST_F(WatchMachineTest, TheFirstPageOfAListThatReplacesAPositionEndsIt) {
  Watching("41");
  (void)machine_.OnWatchFailed(Expired(), now_);
  (void)machine_.OnProbe("90", false, now_);
  (void)machine_.OnAnchor(Pod("web", "40"), now_);
  EXPECT_TRUE(machine_.position_valid());
  (void)machine_.OnSnapshotAdmitted(now_);
  (void)machine_.OnListPage("91", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  (void)machine_.OnListFailed(Expired(), now_);
  EXPECT_FALSE(machine_.position_valid());
  EXPECT_THAT(Words(machine_.OnBookmark("95", now_)), IsEmpty());
}

TEST_F(WatchMachineTest, AnAbandonedAuditLeavesThePositionAsItWas) {
  Watching("41");
  (void)machine_.Audit(now_);
  (void)machine_.OnSnapshotAdmitted(now_);
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  EXPECT_FALSE(machine_.position_valid());
  (void)machine_.OnListFailed(Expired(), now_);
  EXPECT_TRUE(machine_.position_valid());
  EXPECT_THAT(Words(machine_.OnBookmark("60", now_)), ElementsAre("moved"));
}

TEST_F(WatchMachineTest, AnExpiredContinueTokenGoesOnWithTheServersOwnAndIsNoLongerConsistent) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "t1", now_);
  EXPECT_THAT(Words(machine_.OnListFailed(Expired("t2"), now_)), ElementsAre("list t2"));
  (void)machine_.OnListItem(Pod("b", "4"), now_);
  (void)machine_.OnListPage("20", "", now_);
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 10 inconsistent", "moved"));
}

TEST_F(WatchMachineTest, TwoExpiredTokensInARowWait) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnListFailed(Expired("t2"), now_);
  EXPECT_THAT(Words(machine_.OnListFailed(Expired("t3"), now_)), IsEmpty());
  now_ = machine_.NextWake();
  EXPECT_THAT(Words(machine_.Tick(now_)), ElementsAre("list t3"));
}

TEST_F(WatchMachineTest, AnExpiredTokenWithoutAnotherBeginsASnapshotAgain) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(Words(machine_.OnListFailed(Expired(), now_)), ElementsAre("abandoned"));
  EXPECT_FALSE(machine_.in_snapshot());
  EXPECT_THAT(Wake(), ElementsAre("admission First"));
  EXPECT_THAT(Words(machine_.OnSnapshotAdmitted(now_)), ElementsAre("list "));
  EXPECT_THAT(Words(machine_.OnListPage("15", "", now_)),
              ElementsAre("begin First", "page", "wants"));
}

TEST_F(WatchMachineTest, APageCutInTheMiddleIsForgottenAndReadAgain) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnListItem(Pod("b", "4"), now_);
  EXPECT_THAT(Words(machine_.OnListFailed(kLost, now_)), ElementsAre("drop page"));
  EXPECT_THAT(Wake(), ElementsAre("list t1"));
  (void)machine_.OnListItem(Pod("b", "4"), now_);
  EXPECT_THAT(Words(machine_.OnListPage("10", "", now_)), ElementsAre("page", "wants"));
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 10", "moved"));
}

TEST_F(WatchMachineTest, TooManyRequestsOnAPageWaitsAsLongAsTheServerSays) {
  Listing();
  ApiError slow = Error(429, Reason::kTooManyRequests);
  slow.retry_after = seconds(40);
  EXPECT_THAT(Words(machine_.OnListFailed(slow, now_)), IsEmpty());
  EXPECT_GE(machine_.NextWake(), now_ + seconds(40));
  EXPECT_LE(machine_.NextWake(), now_ + seconds(42));
  EXPECT_THAT(Wake(), ElementsAre("list "));
}

TEST_F(WatchMachineTest, ATokenTheServerRefusesBeginsASnapshotAgain) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  EXPECT_THAT(Words(machine_.OnListFailed(Error(400, Reason::kBadRequest), now_)),
              ElementsAre("abandoned"));
}

TEST_F(WatchMachineTest, AServerThatGivesTheSameTokenAgainDoesNotMakeALoop) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  EXPECT_THAT(Words(machine_.OnListPage("10", "t1", now_)), ElementsAre("page", "abandoned"));
}

TEST_F(WatchMachineTest, AListOlderThanWhatWasSeenIsOfAnotherHistory) {
  Watching("41");
  (void)machine_.Audit(now_);
  (void)machine_.OnSnapshotAdmitted(now_);
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  EXPECT_THAT(Words(machine_.OnListPage("40", "", now_)),
              ElementsAre("close watch", "abandoned", "admission Restored"));
  EXPECT_EQ(machine_.history(), 4);
}

TEST_F(WatchMachineTest, AListWithoutAVersionIsReadAgainAndNeverEnds) {
  Listing();
  EXPECT_THAT(Words(machine_.OnListPage("", "", now_)), IsEmpty());
  EXPECT_THAT(Wake(), ElementsAre("list "));
}

TEST_F(WatchMachineTest, AnAuditReadsTheListBesideTheOpenWatch) {
  Watching("41");
  EXPECT_THAT(Words(machine_.Audit(now_), true), ElementsAre("admission Audit"));
  EXPECT_THAT(Words(machine_.OnSnapshotAdmitted(now_)), ElementsAre("list "));
  EXPECT_THAT(Words(machine_.OnListPage("45", "", now_)),
              ElementsAre("begin Audit", "page", "wants"));
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 45", "moved"));
  EXPECT_EQ(machine_.seen_version(), "41");
  EXPECT_EQ(machine_.history(), 3);
}

TEST_F(WatchMachineTest, AnAuditWithoutAnOpenWatchOrDuringASnapshotIsIgnored) {
  EXPECT_THAT(machine_.Audit(now_), IsEmpty());
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(machine_.Audit(now_), IsEmpty());
}

// What is newer than the position is not known as it was there, and what is older tells too little.
TEST_F(WatchMachineTest, AnchorsOfAListThatWentOnAtALaterVersionAreNone) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  (void)machine_.OnListItem(Pod("b", "12"), now_);
  (void)machine_.OnListPage("14", "", now_);
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), ElementsAre("end 10 inconsistent", "moved"));
  ASSERT_EQ(machine_.seen_version(), "10");
  EXPECT_THAT(machine_.AnchorsAt("10"), IsEmpty());
}

TEST_F(WatchMachineTest, AListThatBeginsAWatchLeavesNoAnchorOfBefore) {
  Watching("41");  // web@40 is an anchor
  (void)machine_.OnWatchFailed(Expired(), now_);
  (void)machine_.OnProbe("60", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("admission Expired"));
  (void)machine_.OnSnapshotAdmitted(now_);
  (void)machine_.OnListItem(Pod("a", "50"), now_);
  (void)machine_.OnListPage("60", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  (void)machine_.OnWatchFailed(kLost, now_);
  (void)Wake();
  EXPECT_THAT(Words(machine_.OnProbe("61", false, now_)), ElementsAre("anchor a@50"));
}

TEST_F(WatchMachineTest, AnAuditMakesAnchorsOfWhatItFound) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40"), AnchorAt("old", "7")}), now_);
  (void)machine_.OnProbe("41", false, now_);
  (void)machine_.OnAnchor(Pod("web", "40"), now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_EQ(machine_.AnchorsAt("41").size(), 1U);
  (void)machine_.Audit(now_);
  (void)machine_.OnSnapshotAdmitted(now_);
  (void)machine_.OnListItem(Pod("old", "7"), now_);
  (void)machine_.OnListItem(Pod("web", "40"), now_);
  (void)machine_.OnListPage("41", "", now_);
  (void)machine_.OnWantsDone(now_);
  EXPECT_EQ(machine_.AnchorsAt("41").size(), 2U);
}

TEST_F(WatchMachineTest, TheEndIsHeldWhileTheServersHistoryIsInDoubt) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "", now_);
  (void)machine_.OnWatchOpened(now_);
  (void)machine_.OnWatchFailed(kLost, now_);
  EXPECT_THAT(Words(machine_.OnWantsDone(now_)), IsEmpty());
  EXPECT_THAT(Wake(), ElementsAre("probe"));
  EXPECT_THAT(Words(machine_.OnProbe("12", false, now_)), ElementsAre("anchor a@3"));
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("a", "3"), now_)),
              ElementsAre("watch 10", "end 10", "moved"));
}

TEST_F(WatchMachineTest, ASnapshotWhoseServerWasRestoredMeanwhileHasNoEnd) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "", now_);
  (void)machine_.OnWatchOpened(now_);
  (void)machine_.OnWatchFailed(kLost, now_);
  (void)machine_.OnWantsDone(now_);
  (void)Wake();
  EXPECT_THAT(Words(machine_.OnProbe("9", false, now_)),
              ElementsAre("abandoned", "admission Restored"));
  EXPECT_EQ(machine_.history(), 2);
}

// As a server does it to a watch that is paused too long: the agent would be late by a minute after
// the burst that made it pause.
TEST_F(WatchMachineTest, AStreamThatBroughtTenChangesCountsForNone) {
  Watching("41");
  int version = 41;
  for (int stream = 0; stream < 12; ++stream) {
    for (int i = 0; i < 10; ++i) {
      (void)machine_.OnEvent(EventType::kModified, Pod("web", std::to_string(++version)), now_);
    }
    const std::string newest = std::to_string(version);
    const base::Time ended = now_;
    (void)machine_.OnWatchEnd(now_);
    ASSERT_THAT(Wake(), ElementsAre("probe"));
    EXPECT_LE(now_ - ended, seconds(1));
    (void)machine_.OnProbe(newest, false, now_);
    ASSERT_THAT(Words(machine_.OnAnchor(Pod("web", newest), now_)), ElementsAre("watch " + newest));
    (void)machine_.OnWatchOpened(now_);
  }
}

// Each restart of a server ends a stream, and its first answer to the next one is 410.
TEST_F(WatchMachineTest, RestartsOfTheServerWithinAMinuteAreFollowedAtOnce) {
  Watching("41");
  for (int restart = 0; restart < 3; ++restart) {
    const std::string version = "9" + std::string(static_cast<size_t>(restart) + 1, '0');
    (void)machine_.OnWatchEnd(now_);
    const base::Time ended = now_;
    ASSERT_THAT(Wake(), ElementsAre("probe"));
    EXPECT_LE(now_ - ended, seconds(1)) << "after restart " << restart;
    (void)machine_.OnProbe(version, false, now_);
    (void)machine_.OnAnchor(Pod("web", "40"), now_);
    (void)machine_.OnWatchOpened(now_);
    (void)machine_.OnWatchFailed(Expired(), now_);
    (void)machine_.OnProbe(version, false, now_);
    ASSERT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("admission Expired"));
    (void)machine_.OnSnapshotAdmitted(now_);
    (void)machine_.OnListItem(Pod("web", "40"), now_);
    (void)machine_.OnListPage(version, "", now_);
    (void)machine_.OnWatchOpened(now_);
    (void)machine_.OnWantsDone(now_);
    ASSERT_EQ(machine_.state(), WatchState::kWatching);
    now_ += seconds(1);
    (void)machine_.OnBookmark(version + "0", now_);
  }
}

}  // namespace
}  // namespace fairlead::kube
