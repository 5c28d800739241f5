#include "lib/wire/snapshot_admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ticket = SnapshotAdmission::Ticket;

TEST(SnapshotAdmission, AdmitsUpToItsTokensAndThenInTheOrderOfAsking) {
  SnapshotAdmission admission(2);
  const Ticket a{1, "a"}, b{1, "b"}, c{2, "c"}, d{3, "d"};
  EXPECT_THAT(admission.Ask(a), ElementsAre(a));
  EXPECT_THAT(admission.Ask(b), ElementsAre(b));
  EXPECT_THAT(admission.Ask(c), IsEmpty());
  EXPECT_THAT(admission.Ask(d), IsEmpty());
  EXPECT_THAT(admission.Done(a), ElementsAre(c));
  EXPECT_THAT(admission.Done(c), ElementsAre(d));
}

TEST(SnapshotAdmission, AskingAgainTakesNoSecondToken) {
  SnapshotAdmission admission(2);
  const Ticket a{1, "a"};
  EXPECT_THAT(admission.Ask(a), ElementsAre(a));
  EXPECT_THAT(admission.Ask(a), ElementsAre(a));
  EXPECT_EQ(admission.admitted(), 1U);
}

TEST(SnapshotAdmission, AnOwnerThatGoesReturnsItsTokensAndItsPlacesInTheQueue) {
  SnapshotAdmission admission(1);
  const Ticket a{1, "a"}, b{1, "b"}, c{2, "c"};
  ASSERT_THAT(admission.Ask(a), ElementsAre(a));
  ASSERT_THAT(admission.Ask(b), IsEmpty());
  ASSERT_THAT(admission.Ask(c), IsEmpty());
  EXPECT_THAT(admission.OwnerGone(1), ElementsAre(c));
  EXPECT_THAT(admission.Done(c), IsEmpty());
}

TEST(SnapshotAdmission, ATicketGivenUpWhileWaitingIsNeverAdmitted) {
  SnapshotAdmission admission(1);
  const Ticket a{1, "a"}, b{2, "b"}, c{3, "c"};
  ASSERT_THAT(admission.Ask(a), ElementsAre(a));
  ASSERT_THAT(admission.Ask(b), IsEmpty());
  ASSERT_THAT(admission.Ask(c), IsEmpty());
  EXPECT_THAT(admission.Done(b), IsEmpty());
  EXPECT_THAT(admission.Done(a), ElementsAre(c));
}

TEST(SnapshotAdmission, OneOwnerCannotFillTheQueue) {
  SnapshotAdmission admission(1, 2);
  ASSERT_THAT(admission.Ask({1, "a"}), ElementsAre(Ticket{1, "a"}));
  ASSERT_THAT(admission.Ask({1, "b"}), IsEmpty());
  ASSERT_THAT(admission.Ask({1, "c"}), IsEmpty());
  EXPECT_EQ(admission.waiting(), 1U);
}

TEST(SnapshotAdmission, AnUnknownTicketThatEndsFreesNothing) {
  SnapshotAdmission admission(1);
  ASSERT_THAT(admission.Ask({1, "a"}), ElementsAre(Ticket{1, "a"}));
  ASSERT_THAT(admission.Ask({2, "b"}), IsEmpty());
  EXPECT_THAT(admission.Done({9, "z"}), IsEmpty());
}

}  // namespace
}  // namespace fairlead::wire
