#include "lib/kube/watch_machine.h"

#include <algorithm>

#include "unit/lib/kube/watch_machine_scene.h"

namespace fairlead::kube {
namespace {

using base::minutes;
using base::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- Start and the check of a position.

TEST_F(WatchMachineTest, WithNothingStoredItAsksForASnapshotOfTheFirstHistory) {
  EXPECT_THAT(Words(machine_.Start(std::nullopt, now_), true),
              ElementsAre("probe", "state Checking"));
  EXPECT_THAT(Words(machine_.OnProbe("9", false, now_), true),
              ElementsAre("admission First", "state Admission"));
  EXPECT_EQ(machine_.history(), 1);
  EXPECT_EQ(machine_.NextWake(), base::Time::max());
}

TEST_F(WatchMachineTest, AProvenPositionIsWatchedFromWithoutAList) {
  EXPECT_THAT(Words(machine_.Start(At("41", {AnchorAt("web", "40")}), now_)), ElementsAre("probe"));
  EXPECT_THAT(Words(machine_.OnProbe("55", false, now_)), ElementsAre("anchor web@40"));
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("watch 41"));
  EXPECT_EQ(machine_.history(), 3);
}

TEST_F(WatchMachineTest, WatchesAreAskedForFiveToTenMinutesAtRandom) {
  int least = 10000;
  int most = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    WatchMachine machine(WatchOptions{.seed = seed});
    (void)machine.Start(At("41", {AnchorAt("web", "40")}), now_);
    (void)machine.OnProbe("41", false, now_);
    const Actions actions = machine.OnAnchor(Pod("web", "40"), now_);
    const auto& watch = std::get<OpenWatch>(actions.front());
    least = std::min(least, watch.timeout_seconds);
    most = std::max(most, watch.timeout_seconds);
  }
  EXPECT_GE(least, 300);
  EXPECT_LT(least, 320);
  EXPECT_LE(most, 600);
  EXPECT_GT(most, 580);
}

TEST_F(WatchMachineTest, AServerBehindThePositionWasRestored) {
  (void)machine_.Start(At("100", {AnchorAt("web", "40")}), now_);
  EXPECT_THAT(Words(machine_.OnProbe("99", false, now_)), ElementsAre("admission Restored"));
  EXPECT_EQ(machine_.history(), 4);
  EXPECT_EQ(machine_.seen_version(), "");
}

TEST_F(WatchMachineTest, VersionsAreComparedAsNumbersOfAnyLength) {
  (void)machine_.Start(At("99999999999999999999", {AnchorAt("web", "40")}), now_);
  EXPECT_THAT(Words(machine_.OnProbe("100000000000000000000", false, now_)),
              ElementsAre("anchor web@40"));
}

TEST_F(WatchMachineTest, AChangedAnchorIsAskedForAtItsOwnVersion) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40")}), now_);
  (void)machine_.OnProbe("55", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "54"), now_)), ElementsAre("exact web@40"));
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("watch 41"));
}

// A change of no content moves an object and writes no row. A row's anchor is stale then, and when
// its version is compacted nothing would be left but a list.
TEST_F(WatchMachineTest, AnAnchorOfThePositionIsAskedForAtThePosition) {
  Anchor anchor = AnchorAt("web", "12");
  anchor.at_position = true;
  (void)machine_.Start(At("41", {anchor}), now_);
  (void)machine_.OnProbe("55", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "54"), now_)), ElementsAre("exact web@41"));
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "12"), now_)), ElementsAre("watch 41"));
}

TEST_F(WatchMachineTest, AnAnchorThatWasSomethingElseAtThePositionMeansAnotherHistory) {
  Anchor anchor = AnchorAt("web", "12");
  anchor.at_position = true;
  (void)machine_.Start(At("41", {anchor}), now_);
  (void)machine_.OnProbe("55", false, now_);
  (void)machine_.OnAnchor(Pod("web", "54"), now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "13"), now_)), ElementsAre("admission Restored"));
}

TEST_F(WatchMachineTest, AnchorsOfAPositionAreObjectsAsTheyAreThere) {
  const auto names = [&](std::string_view version) {
    Strings out;
    for (const Anchor& one : machine_.AnchorsAt(version)) {
      out.push_back(one.name + "@" + one.resource_version);
    }
    return out;
  };
  Anchor old = AnchorAt("old", "7");
  old.at_position = true;
  (void)machine_.Start(At("41", {AnchorAt("web", "40"), old}), now_);
  EXPECT_THAT(names("41"), IsEmpty()) << "rows may lag behind, and what is older tells too little";
  (void)machine_.OnProbe("41", false, now_);
  (void)machine_.OnAnchor(Pod("web", "40"), now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(names("41"), ElementsAre("web@40", "old@7")) << "it was just seen so";
  (void)machine_.OnEvent(EventType::kModified, Pod("web", "42"), now_);
  (void)machine_.OnEvent(EventType::kAdded, Pod("new", "43"), now_);
  (void)machine_.OnBookmark("50", now_);
  EXPECT_THAT(names("50"), ElementsAre("new@43", "web@42", "old@7"));
  EXPECT_THAT(names("43"), IsEmpty()) << "what they were there is not known any more";
  (void)machine_.OnEvent(EventType::kDeleted, Pod("new", "51"), now_);
  EXPECT_THAT(names("51"), ElementsAre("web@42", "old@7"));
}

TEST_F(WatchMachineTest, AnAnchorThatWasSomethingElseAtItsVersionMeansAnotherHistory) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40"), AnchorAt("db", "39")}), now_);
  (void)machine_.OnProbe("55", false, now_);
  (void)machine_.OnAnchor(std::nullopt, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40", "other"), now_)),
              ElementsAre("admission Restored"));
  EXPECT_EQ(machine_.history(), 4);
}

TEST_F(WatchMachineTest, AnExpiredAnchorProvesNothingAndTheNextOneIsAsked) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40"), AnchorAt("db", "39")}), now_);
  (void)machine_.OnProbe("55", false, now_);
  (void)machine_.OnAnchor(Pod("web", "50"), now_);
  EXPECT_THAT(Words(machine_.OnCheckFailed(Expired(), now_)), ElementsAre("anchor db@39"));
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("db", "39"), now_)), ElementsAre("watch 41"));
}

TEST_F(WatchMachineTest, WhenNoAnchorProvesAnythingHistoryGoesOnAndASnapshotFollows) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40")}), now_);
  (void)machine_.OnProbe("55", false, now_);
  (void)machine_.OnAnchor(std::nullopt, now_);
  EXPECT_THAT(Words(machine_.OnCheckFailed(Expired(), now_)), ElementsAre("admission Restored"));
  EXPECT_EQ(machine_.history(), 4);
}

TEST_F(WatchMachineTest, AServerWithoutExactListsStillHasItsAnchorsAskedInTurn) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40"), AnchorAt("db", "39")}), now_);
  (void)machine_.OnProbe("55", false, now_);
  (void)machine_.OnAnchor(std::nullopt, now_);
  EXPECT_THAT(Words(machine_.OnCheckFailed(Error(400, Reason::kBadRequest), now_)),
              ElementsAre("anchor db@39"));
}

TEST_F(WatchMachineTest, AnEmptyCollectionIsProvenByAnEmptyList) {
  (void)machine_.Start(At("41", {}, 0), now_);
  EXPECT_THAT(Words(machine_.OnProbe("55", true, now_)), ElementsAre("watch 41"));
  EXPECT_EQ(machine_.history(), 3);
}

TEST_F(WatchMachineTest, AnEmptyCollectionThatIsNotEmptyNowIsNotProven) {
  (void)machine_.Start(At("41", {}, 0), now_);
  EXPECT_THAT(Words(machine_.OnProbe("55", false, now_)), ElementsAre("admission Restored"));
}

TEST_F(WatchMachineTest, AnEmptyListDoesNotProveRowsWithoutAnchors) {
  (void)machine_.Start(At("41", {}, 7), now_);
  EXPECT_THAT(Words(machine_.OnProbe("55", true, now_)), ElementsAre("admission Restored"));
}

// One object that is as it was says nothing of the others: rows may be of a server since restored.
TEST_F(WatchMachineTest, RowsWithoutAVersionGetANewHistoryWhateverTheAnchors) {
  (void)machine_.Start(At("", {AnchorAt("web", "40")}), now_);
  EXPECT_THAT(Words(machine_.OnProbe("2", false, now_)), ElementsAre("admission First"));
  EXPECT_EQ(machine_.history(), 4);
}

TEST_F(WatchMachineTest, RowsWithoutAVersionOrAnchorsGetANewHistory) {
  (void)machine_.Start(At("", {}, 0), now_);
  EXPECT_THAT(Words(machine_.OnProbe("2", true, now_)), ElementsAre("admission First"));
  EXPECT_EQ(machine_.history(), 4);
}

TEST_F(WatchMachineTest, ChangedRulesSnapshotAProvenPositionInItsHistory) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40")}), now_, SnapshotReason::kRules);
  (void)machine_.OnProbe("55", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("admission Rules"));
  EXPECT_EQ(machine_.history(), 3);
}

TEST_F(WatchMachineTest, AVersionThatIsNoNumberIsOnlyProvenByEquality) {
  (void)machine_.Start(At("abc", {AnchorAt("web", "40")}), now_);
  EXPECT_THAT(Words(machine_.OnProbe("abc", false, now_)), ElementsAre("anchor web@40"));
  WatchMachine other(WatchOptions{});
  (void)other.Start(At("abc", {AnchorAt("web", "40")}), now_);
  EXPECT_THAT(Words(other.OnProbe("abd", false, now_)), ElementsAre("admission Restored"));
}

TEST_F(WatchMachineTest, ACheckThatGetsNoAnswerIsRepeatedAndKeepsThePosition) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40")}), now_);
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Words(machine_.OnCheckFailed(kLost, now_)), IsEmpty());
    EXPECT_LE(machine_.NextWake() - now_, seconds(30));
    EXPECT_THAT(Wake(), ElementsAre("probe"));
  }
  EXPECT_EQ(machine_.history(), 3);
  EXPECT_EQ(machine_.seen_version(), "41");
}

TEST_F(WatchMachineTest, AProbeWithoutAVersionIsRepeated) {
  (void)machine_.Start(At("41", {AnchorAt("web", "40")}), now_);
  EXPECT_THAT(Words(machine_.OnProbe("", true, now_)), IsEmpty());
  EXPECT_THAT(Wake(), ElementsAre("probe"));
}

// ---- Watching.

TEST_F(WatchMachineTest, EventsComeOutOnceAndInOrder) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnEvent(EventType::kModified, Pod("web", "42"), now_)),
              ElementsAre("upsert"));
  EXPECT_THAT(Words(machine_.OnEvent(EventType::kDeleted, Pod("web", "43"), now_)),
              ElementsAre("delete"));
  EXPECT_EQ(machine_.seen_version(), "43");
}

TEST_F(WatchMachineTest, RepeatedAndOlderEventsDoNotComeOut) {
  Watching("41");
  (void)machine_.OnEvent(EventType::kAdded, Pod("a", "50"), now_);
  EXPECT_THAT(machine_.OnEvent(EventType::kAdded, Pod("a", "50"), now_), IsEmpty());
  EXPECT_THAT(machine_.OnEvent(EventType::kDeleted, Pod("a", "49"), now_), IsEmpty());
  EXPECT_THAT(machine_.OnBookmark("48", now_), IsEmpty());
  EXPECT_EQ(machine_.seen_version(), "50");
  EXPECT_EQ(machine_.repeated_events(), 2);
}

TEST_F(WatchMachineTest, EventsWhoseVersionsAreNoNumbersComeOutUnlessEqual) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnEvent(EventType::kAdded, Pod("a", "x9"), now_)),
              ElementsAre("upsert"));
  EXPECT_THAT(machine_.OnEvent(EventType::kAdded, Pod("a", "x9"), now_), IsEmpty());
  EXPECT_THAT(Words(machine_.OnEvent(EventType::kModified, Pod("a", "x1"), now_)),
              ElementsAre("upsert"));
}

TEST_F(WatchMachineTest, ABookmarkMovesThePosition) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnBookmark("60", now_)), ElementsAre("moved"));
  EXPECT_EQ(machine_.seen_version(), "60");
}

TEST_F(WatchMachineTest, AnEventWithoutAVersionEndsTheStreamAndNotThePosition) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnEvent(EventType::kAdded, Pod("a", ""), now_)),
              ElementsAre("close watch"));
  EXPECT_EQ(machine_.seen_version(), "41");
  EXPECT_THAT(Wake(), ElementsAre("probe"));
}

TEST_F(WatchMachineTest, AStreamThatLastedItsTimeIsReopenedAtOnceWhereItEndedAndSaysNothing) {
  Watching("41");
  (void)machine_.OnEvent(EventType::kAdded, Pod("a", "50"), now_);
  now_ += minutes(10);
  EXPECT_THAT(Words(machine_.OnWatchEnd(now_), true), ElementsAre("watch 50"));
  EXPECT_EQ(machine_.state(), WatchState::kWatching);
}

TEST_F(WatchMachineTest, AfterALostStreamThePositionIsCheckedWithWhatWasSeenLast) {
  Watching("41");
  (void)machine_.OnEvent(EventType::kAdded, Pod("a", "50"), now_);
  now_ += seconds(20);
  EXPECT_THAT(Words(machine_.OnWatchFailed(kLost, now_), true), ElementsAre("state Backoff"));
  EXPECT_LE(machine_.NextWake(), now_ + seconds(1));
  EXPECT_THAT(Wake(), ElementsAre("probe"));
  EXPECT_THAT(Words(machine_.OnProbe("50", false, now_)), ElementsAre("anchor a@50"));
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("a", "50"), now_)), ElementsAre("watch 50"));
}

TEST_F(WatchMachineTest, ADeletedObjectIsNoAnchor) {
  Watching("41");
  (void)machine_.OnEvent(EventType::kAdded, Pod("a", "50"), now_);
  (void)machine_.OnEvent(EventType::kDeleted, Pod("a", "51"), now_);
  (void)machine_.OnWatchFailed(kLost, now_);
  (void)Wake();
  EXPECT_THAT(Words(machine_.OnProbe("51", false, now_)), ElementsAre("anchor web@40"));
}

TEST_F(WatchMachineTest, AServerRestoredWhileTheAgentRunsIsNoticedAtTheNextConnection) {
  Watching("41");
  (void)machine_.OnWatchFailed(kLost, now_);
  (void)Wake();
  EXPECT_THAT(Words(machine_.OnProbe("30", false, now_)), ElementsAre("admission Restored"));
  EXPECT_EQ(machine_.history(), 4);
}

TEST_F(WatchMachineTest, AnExpiredPositionBecomesASnapshotAndDeletesNothingByItself) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnWatchFailed(Expired(), now_)), ElementsAre("probe"));
  (void)machine_.OnProbe("90", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("admission Expired"));
  EXPECT_EQ(machine_.history(), 3);
  (void)machine_.OnSnapshotAdmitted(now_);
  EXPECT_THAT(Words(machine_.OnListPage("91", "", now_)),
              ElementsAre("begin Expired", "page", "watch 91", "wants"));
}

TEST_F(WatchMachineTest, AnExpiredWatchDuringASnapshotMakesANewOne) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "t1", now_);
  EXPECT_THAT(Words(machine_.OnWatchFailed(Expired(), now_)),
              ElementsAre("close list", "abandoned", "probe"));
  (void)machine_.OnProbe("90", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("a", "3"), now_)), ElementsAre("admission First"));
}

TEST_F(WatchMachineTest, AServerThatExpiresEveryWatchAtOnceIsNotStormed) {
  Watching("41");
  int snapshots = 0;
  const base::Time end = now_ + minutes(10);
  Strings todo = Words(machine_.OnWatchFailed(Expired(), now_));
  while (now_ < end) {
    if (todo.empty()) todo = Wake();
    const std::string last = todo.empty() ? "" : todo.back();
    if (last == "probe") {
      todo = Words(machine_.OnProbe("90", false, now_));
    } else if (last.starts_with("anchor")) {
      todo = Words(machine_.OnAnchor(Pod("web", "40"), now_));
    } else if (last.starts_with("admission")) {
      ++snapshots;
      todo = Words(machine_.OnSnapshotAdmitted(now_));
    } else if (last == "list ") {
      (void)machine_.OnListItem(Pod("web", "40"), now_);
      (void)machine_.OnListPage("90", "", now_);
      (void)machine_.OnWantsDone(now_);
      todo = Words(machine_.OnWatchFailed(Expired(), now_));
    } else {
      break;
    }
  }
  EXPECT_GE(now_, end);
  EXPECT_LE(snapshots, 60);
}

TEST_F(WatchMachineTest, AServerThatEndsEveryStreamAtOnceIsAskedAtMostFourTimesAMinute) {
  Watching("41");
  std::vector<base::Time> asked = {now_};
  for (int i = 0; i < 40; ++i) {
    (void)machine_.OnWatchEnd(now_);
    ASSERT_THAT(Wake(), ElementsAre("probe"));
    (void)machine_.OnProbe("41", false, now_);
    ASSERT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("watch 41"));
    asked.push_back(now_);
    (void)machine_.OnWatchOpened(now_);
  }
  for (size_t i = 4; i < asked.size(); ++i) EXPECT_GE(asked[i] - asked[i - 4], minutes(1));
  EXPECT_LE(asked[1] - asked[0], seconds(1));  // one early end alone costs next to nothing
}

TEST_F(WatchMachineTest, TooManyRequestsKeepsThePositionAndItsProof) {
  Watching("41");
  now_ += minutes(10);
  (void)machine_.OnWatchEnd(now_);
  ApiError slow = Error(429, Reason::kTooManyRequests);
  slow.retry_after = seconds(7);
  (void)machine_.OnWatchFailed(slow, now_);
  EXPECT_GE(machine_.NextWake(), now_ + seconds(7));
  EXPECT_THAT(Wake(), ElementsAre("watch 41"));
}

TEST_F(WatchMachineTest, FailuresAreRepeatedEverMoreSlowlyUpToHalfAMinute) {
  Watching("41");
  (void)machine_.OnWatchFailed(kLost, now_);
  base::Duration longest{};
  base::Duration total{};
  for (int i = 0; i < 30; ++i) {
    const base::Duration wait = machine_.NextWake() - now_;
    longest = std::max(longest, wait);
    total += wait;
    ASSERT_THAT(Wake(), ElementsAre("probe"));
    (void)machine_.OnCheckFailed(kLost, now_);
  }
  EXPECT_LE(longest, seconds(30));
  EXPECT_GE(total, minutes(3));
}

TEST_F(WatchMachineTest, JitterDiffersBetweenMachinesAndNotBetweenRuns) {
  const auto wait = [this](uint64_t seed) {
    WatchMachine machine(WatchOptions{.seed = seed});
    (void)machine.Start(At("41", {AnchorAt("web", "40")}), now_);
    (void)machine.OnCheckFailed(kLost, now_);
    return machine.NextWake();
  };
  EXPECT_EQ(wait(1), wait(1));
  EXPECT_NE(wait(1), wait(2));
}

TEST_F(WatchMachineTest, AStreamThatNeverEndsIsClosed) {
  Watching("41");
  EXPECT_LE(machine_.NextWake(), now_ + minutes(11));
  EXPECT_THAT(Wake(), ElementsAre("close watch"));
  EXPECT_THAT(Wake(), ElementsAre("probe"));
}

// ---- Refusals.

TEST_F(WatchMachineTest, WhatStaysForbiddenIsAskedForEverMoreRarely) {
  Watching("41");
  (void)machine_.OnWatchFailed(Error(403, Reason::kForbidden), now_);
  EXPECT_LE(machine_.NextWake(), now_ + seconds(1)) << "a server that has just started";
  for (int i = 0; i < 8; ++i) {
    EXPECT_THAT(Wake(), ElementsAre("probe"));
    (void)machine_.OnCheckFailed(Error(403, Reason::kForbidden), now_);
  }
  EXPECT_GE(machine_.NextWake(), now_ + seconds(22));
  EXPECT_LE(machine_.NextWake(), now_ + seconds(38));
}

TEST_F(WatchMachineTest, ForbiddenKeepsEverything) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnWatchFailed(Error(403, Reason::kForbidden), now_), true),
              ElementsAre("state Forbidden"));
  EXPECT_EQ(machine_.seen_version(), "41");
  EXPECT_THAT(Wake(), ElementsAre("probe"));
  EXPECT_EQ(machine_.state(), WatchState::kForbidden);
  EXPECT_THAT(Words(machine_.OnCheckFailed(Error(403, Reason::kForbidden), now_), true), IsEmpty());
  EXPECT_THAT(Wake(), ElementsAre("probe"));
  (void)machine_.OnProbe("41", false, now_);
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)), ElementsAre("watch 41"));
}

TEST_F(WatchMachineTest, WhatIsForbiddenFromTheStartNeverAsksForAdmission) {
  (void)machine_.Start(std::nullopt, now_);
  EXPECT_THAT(Words(machine_.OnCheckFailed(Error(403, Reason::kForbidden), now_), true),
              ElementsAre("state Forbidden"));
  EXPECT_THAT(Wake(), ElementsAre("probe"));
}

TEST_F(WatchMachineTest, AForbiddenFirstListIsAskedAgainByAProbeAndThenListed) {
  Listing();
  EXPECT_THAT(Words(machine_.OnListFailed(Error(403, Reason::kForbidden), now_), true),
              ElementsAre("state Forbidden"));
  EXPECT_THAT(Wake(), ElementsAre("probe"));
  EXPECT_THAT(Words(machine_.OnProbe("9", false, now_)), ElementsAre("admission First"));
  EXPECT_EQ(machine_.history(), 1);
}

TEST_F(WatchMachineTest, RightsLostDuringASnapshotLeaveItWithoutAnEnd) {
  Listing();
  (void)machine_.OnListItem(Pod("a", "3"), now_);
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(Words(machine_.OnListFailed(Error(403, Reason::kForbidden), now_)),
              ElementsAre("abandoned", "close watch"));
  EXPECT_THAT(Wake(), ElementsAre("probe"));
  (void)machine_.OnProbe("12", false, now_);
  // What was seen is not a complete view, so a snapshot follows whatever is proven.
  EXPECT_THAT(Words(machine_.OnAnchor(Pod("a", "3"), now_)), ElementsAre("admission First"));
}

TEST_F(WatchMachineTest, AResourceTheServerDoesNotKnowIsMissingAndDeletesNothing) {
  Watching("41");
  EXPECT_THAT(Words(machine_.OnWatchFailed(Error(404, Reason::kNotFound), now_), true),
              ElementsAre("state Missing"));
  EXPECT_EQ(machine_.seen_version(), "41");
  EXPECT_THAT(Wake(), ElementsAre("probe"));
}

// ---- The shell's mistakes and the end.

TEST_F(WatchMachineTest, AnswersNobodyAskedForAreIgnored) {
  Watching("41");
  EXPECT_THAT(machine_.OnProbe("1", true, now_), IsEmpty());
  EXPECT_THAT(machine_.OnAnchor(std::nullopt, now_), IsEmpty());
  EXPECT_THAT(machine_.OnCheckFailed(kLost, now_), IsEmpty());
  EXPECT_THAT(machine_.OnSnapshotAdmitted(now_), IsEmpty());
  EXPECT_THAT(machine_.OnListItem(Pod("a", "1"), now_), IsEmpty());
  EXPECT_THAT(machine_.OnListPage("1", "", now_), IsEmpty());
  EXPECT_THAT(machine_.OnListFailed(kLost, now_), IsEmpty());
  EXPECT_THAT(machine_.OnWantsDone(now_), IsEmpty());
  EXPECT_THAT(machine_.OnWatchOpened(now_), IsEmpty());
  EXPECT_EQ(machine_.state(), WatchState::kWatching);
}

TEST_F(WatchMachineTest, StopClosesWhatIsOpenAndNothingComesAfter) {
  Listing();
  (void)machine_.OnListPage("10", "t1", now_);
  (void)machine_.OnWatchOpened(now_);
  EXPECT_THAT(Words(machine_.Stop(), true), ElementsAre("close watch", "close list"));
  EXPECT_EQ(machine_.NextWake(), base::Time::max());
  EXPECT_THAT(machine_.OnEvent(EventType::kAdded, Pod("a", "50"), now_), IsEmpty());
  EXPECT_THAT(machine_.Tick(now_ + minutes(100)), IsEmpty());
}

TEST_F(WatchMachineTest, StatesSayWhy) {
  Watching("41");
  const Actions actions = machine_.OnWatchFailed(kLost, now_);
  ASSERT_EQ(actions.size(), 1);
  EXPECT_THAT(std::get<StateChanged>(actions[0]).detail, HasSubstr("connection lost"));
}

}  // namespace
}  // namespace fairlead::kube
