#include "lib/wire/snapshot_admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ticket = SnapshotAdmission::Ticket;

const base::Time t0{base::hours(1)};

TEST(SnapshotAdmission, AdmitsUpToItsTokensAndThenInTheOrderOfAsking) {
  SnapshotAdmission admission({.tokens = 2});
  const Ticket a{1, "a"}, b{1, "b"}, c{2, "c"}, d{3, "d"};
  EXPECT_THAT(admission.Ask(a, t0), ElementsAre(a));
  EXPECT_THAT(admission.Ask(b, t0), ElementsAre(b));
  EXPECT_THAT(admission.Ask(c, t0), IsEmpty());
  EXPECT_THAT(admission.Ask(d, t0), IsEmpty());
  EXPECT_THAT(admission.Done(a, t0), ElementsAre(c));
  EXPECT_THAT(admission.Done(c, t0), ElementsAre(d));
}

TEST(SnapshotAdmission, AskingAgainTakesNoSecondToken) {
  SnapshotAdmission admission({.tokens = 2});
  const Ticket a{1, "a"};
  EXPECT_THAT(admission.Ask(a, t0), ElementsAre(a));
  EXPECT_THAT(admission.Ask(a, t0), ElementsAre(a));
  EXPECT_EQ(admission.admitted(), 1U);
}

TEST(SnapshotAdmission, AnOwnerThatGoesReturnsItsTokensAndItsPlacesInTheQueue) {
  SnapshotAdmission admission({.tokens = 1});
  const Ticket a{1, "a"}, b{1, "b"}, c{2, "c"};
  ASSERT_THAT(admission.Ask(a, t0), ElementsAre(a));
  ASSERT_THAT(admission.Ask(b, t0), IsEmpty());
  ASSERT_THAT(admission.Ask(c, t0), IsEmpty());
  EXPECT_THAT(admission.OwnerGone(1, t0), ElementsAre(c));
  EXPECT_THAT(admission.Done(c, t0), IsEmpty());
}

TEST(SnapshotAdmission, ATicketGivenUpWhileWaitingIsNeverAdmitted) {
  SnapshotAdmission admission({.tokens = 1});
  const Ticket a{1, "a"}, b{2, "b"}, c{3, "c"};
  ASSERT_THAT(admission.Ask(a, t0), ElementsAre(a));
  ASSERT_THAT(admission.Ask(b, t0), IsEmpty());
  ASSERT_THAT(admission.Ask(c, t0), IsEmpty());
  EXPECT_THAT(admission.Done(b, t0), IsEmpty());
  EXPECT_THAT(admission.Done(a, t0), ElementsAre(c));
}

TEST(SnapshotAdmission, OneOwnerCannotFillTheQueue) {
  SnapshotAdmission admission({.tokens = 1, .most_per_owner = 2});
  ASSERT_THAT(admission.Ask({1, "a"}, t0), ElementsAre(Ticket{1, "a"}));
  ASSERT_THAT(admission.Ask({1, "b"}, t0), IsEmpty());
  ASSERT_THAT(admission.Ask({1, "c"}, t0), IsEmpty());
  EXPECT_EQ(admission.waiting(), 1U);
}

TEST(SnapshotAdmission, AnUnknownTicketThatEndsFreesNothing) {
  SnapshotAdmission admission({.tokens = 1});
  ASSERT_THAT(admission.Ask({1, "a"}, t0), ElementsAre(Ticket{1, "a"}));
  ASSERT_THAT(admission.Ask({2, "b"}, t0), IsEmpty());
  EXPECT_THAT(admission.Done({9, "z"}, t0), IsEmpty());
}

TEST(SnapshotAdmission, OneThatHasNoEndInTimeCountsNoMore) {
  SnapshotAdmission admission({.tokens = 1, .most_time = base::minutes(10)});
  const Ticket a{1, "a"}, b{2, "b"}, c{3, "c"};
  ASSERT_THAT(admission.Ask(a, t0), ElementsAre(a));
  ASSERT_THAT(admission.Ask(b, t0), IsEmpty());
  EXPECT_THAT(admission.Tick(t0 + base::minutes(10)), IsEmpty());
  EXPECT_THAT(admission.Tick(t0 + base::minutes(11)), ElementsAre(b));
  ASSERT_THAT(admission.Ask(c, t0 + base::minutes(11)), IsEmpty());
  EXPECT_THAT(admission.Done(a, t0 + base::minutes(12)), IsEmpty()) << "its place was given on";
  EXPECT_THAT(admission.Done(b, t0 + base::minutes(12)), ElementsAre(c));
}

}  // namespace
}  // namespace fairlead::wire
