#include "endpoint/replicas/replica_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

class ReplicaJudgeTest : public ::testing::Test {
 protected:
  // Looks every 250 ms for `time`; the beat of "b" moves if it is alive.
  std::vector<store::ReplicaRow> Pass(base::Duration time, bool alive) {
    std::vector<store::ReplicaRow> dead;
    for (base::Duration done{}; done < time; done += base::milliseconds(250)) {
      now_ += base::milliseconds(250);
      if (alive) ++beat_;
      dead = judge_.Observe({{"a", ++own_}, {"b", beat_}}, now_);
    }
    return dead;
  }
  base::Time now_{base::hours(1)};
  uint64_t own_ = 0, beat_ = 1;
  ReplicaJudge judge_{ReplicaJudge::Options{}};
};

TEST_F(ReplicaJudgeTest, AReplicaIsDeadAfterASecondWithoutABeat) {
  ASSERT_THAT(Pass(base::seconds(10), true), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(750), false), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(250), false),
              ElementsAre(Field(&store::ReplicaRow::id, "b")));
}

TEST_F(ReplicaJudgeTest, ABeatAfterASilenceStartsTheTimeAnew) {
  ASSERT_THAT(Pass(base::milliseconds(1000), false), IsEmpty());
  ASSERT_THAT(Pass(base::milliseconds(250), true), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(750), false), IsEmpty());
}

TEST_F(ReplicaJudgeTest, TimeInWhichNothingWasReadCountsForNobodysDeath) {
  ASSERT_THAT(Pass(base::milliseconds(750), false), IsEmpty());
  now_ += base::minutes(5);  // the database was away, or this process was stopped
  EXPECT_THAT(Pass(base::milliseconds(1000), false), IsEmpty());
  EXPECT_THAT(Pass(base::milliseconds(250), false),
              ElementsAre(Field(&store::ReplicaRow::id, "b")));
}

}  // namespace
}  // namespace fairlead::endpoint
