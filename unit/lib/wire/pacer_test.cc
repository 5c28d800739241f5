#include "lib/wire/pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace fairlead::wire {
namespace {

using base::milliseconds;

// A line with a rate, a delay and a queue without end, its sender always with more to say.
class Line {
 public:
  Line(double bytes_per_second, base::Duration round_trip)
      : bytes_per_second_(bytes_per_second), round_trip_(round_trip) {
    pacer_.OnRoundTrip(round_trip, now_);  // of a beat before any bulk
  }

  // Goes on for so long. `gives`: how much the sender has to say in a second; 0 = without end.
  void Run(base::Duration time, double gives = 0) {
    const base::Time end = now_ + time;
    double saved = 0;
    for (; now_ < end; now_ += milliseconds(1)) {
      while (!marks_.empty() && marks_.front().answered <= now_) {
        pacer_.OnMark(marks_.front().number, now_);
        marks_.pop_front();
        Mark();
      }
      saved += gives / 1000;
      while (gives == 0 || saved >= 1000) {
        const size_t bytes = gives == 0 ? std::min<size_t>(pacer_.piece_bytes(), 16384) : 1000;
        if (!pacer_.MaySend(bytes, now_)) break;
        if (gives > 0) saved -= 1000;
        const auto takes = base::Duration(
            static_cast<int64_t>(static_cast<double>(bytes) / bytes_per_second_ * 1e9));
        free_at_ = std::max(free_at_, now_) + takes;
        sent_ += bytes;
        pacer_.OnSent(bytes);
        worst_ = std::max(worst_, free_at_ - now_);
        Mark();
      }
      Mark();
    }
  }
  // Nothing is said for so long; what is on its way arrives.
  void Rest(base::Duration time) {
    for (; !marks_.empty(); marks_.pop_front()) {
      now_ = std::max(now_, marks_.front().answered);
      pacer_.OnMark(marks_.front().number, now_);
      Mark();
    }
    now_ += time;
  }
  // How long a byte sent at the worst moment since the last call waited behind others.
  base::Duration Worst() { return std::exchange(worst_, base::Duration::zero()); }
  size_t Sent() { return std::exchange(sent_, 0); }
  void SetRate(double bytes_per_second) { bytes_per_second_ = bytes_per_second; }
  Pacer& pacer() { return pacer_; }
  [[nodiscard]] base::Time now() const { return now_; }

 private:
  struct Answer {
    uint64_t number;
    base::Time answered;
  };
  void Mark() {
    if (const auto mark = pacer_.TakeMark(now_)) {
      marks_.push_back({*mark, std::max(free_at_, now_) + round_trip_});
    }
  }

  double bytes_per_second_;
  base::Duration round_trip_;
  base::Time now_{base::hours(1)};
  base::Time free_at_{};
  base::Duration worst_{};
  size_t sent_ = 0;
  std::deque<Answer> marks_;
  Pacer pacer_{{}};
};

TEST(Pacer, ASlowLineIsNeverFurtherBehindThanTheTarget) {
  Line line(125e3, milliseconds(150));
  line.Run(base::seconds(1));
  EXPECT_LT(line.Worst(), milliseconds(150));  // the first window, before anything is known
  line.Sent();
  line.Run(base::seconds(20));
  EXPECT_LT(line.Worst(), milliseconds(100));
  EXPECT_GT(line.Sent(), 0.9 * 20 * 125e3);
}

TEST(Pacer, ALongFatLineIsFilledWithinASecondAndWithoutMoreDelayThanAllowed) {
  Line line(12.5e6, milliseconds(50));
  line.Run(base::seconds(1));
  EXPECT_LT(line.Worst(), milliseconds(100));
  line.Sent();
  line.Run(base::seconds(5));
  EXPECT_LT(line.Worst(), milliseconds(100));
  EXPECT_GT(line.Sent(), 0.9 * 5 * 12.5e6);
}

TEST(Pacer, ALineThatBecomesSlowIsGivenLessWithinARoundTripOfTheNewRate) {
  Line line(12.5e6, milliseconds(50));
  line.Run(base::seconds(3));
  line.SetRate(1.25e6);
  line.Run(base::seconds(3));  // what was on its way takes its time
  line.Worst();
  line.Sent();
  line.Run(base::seconds(5));
  EXPECT_LT(line.Worst(), milliseconds(100));
  EXPECT_GT(line.Sent(), 0.9 * 5 * 1.25e6);
}

TEST(Pacer, ATrickleNeitherNarrowsTheWindowNorTellsOfARateThatNobodySaw) {
  Line line(125e3, milliseconds(5));
  line.Run(base::seconds(10), 20e3);
  EXPECT_EQ(line.pacer().window(), PacerOptions{}.first_window);
}

TEST(Pacer, AFullWindowAlwaysHasAMarkOnItsWay) {
  Pacer pacer({});
  const base::Time now{base::hours(1)};
  pacer.OnRoundTrip(milliseconds(1), now);
  pacer.OnSent(100'000);
  EXPECT_FALSE(pacer.MaySend(1000, now));
  const auto first = pacer.TakeMark(now);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(pacer.TakeMark(now).has_value());
  // Its answer says that the line is slow, so what was sent behind it fills the window again.
  pacer.OnMark(*first, now + base::seconds(30));
  EXPECT_TRUE(pacer.MaySend(1000, now));
  pacer.OnSent(9'000);
  EXPECT_FALSE(pacer.MaySend(1000, now));
  EXPECT_TRUE(pacer.TakeMark(now + base::seconds(30)).has_value());
}

TEST(Pacer, AfterARestALongLineIsFilledAnewAsTcpDoesIt) {
  Line line(12.5e6, milliseconds(50));
  line.Run(base::seconds(3));
  EXPECT_GT(line.pacer().window(), 500'000U);
  line.Rest(base::seconds(2));
  (void)line.pacer().MaySend(1000, line.now());
  EXPECT_EQ(line.pacer().window(), PacerOptions{}.first_window);
}

// However little is on its way: nothing else would let the sender go on.
TEST(Pacer, WhoeverMayNotSendWaitsForAnAnswer) {
  Pacer pacer({});
  const base::Time now{base::hours(1)};
  ASSERT_TRUE(pacer.MaySend(500, now));
  pacer.OnSent(500);
  EXPECT_FALSE(pacer.TakeMark(now).has_value());
  EXPECT_FALSE(pacer.MaySend(8000, now));
  const auto mark = pacer.TakeMark(now);
  ASSERT_TRUE(mark.has_value());
  pacer.OnMark(*mark, now + milliseconds(1));
  EXPECT_TRUE(pacer.MaySend(8000, now + milliseconds(1)));
}

TEST(Pacer, AnAnswerThatNobodyAskedForChangesNothing) {
  Pacer pacer({});
  const base::Time now{base::hours(1)};
  pacer.OnSent(100'000);
  ASSERT_TRUE(pacer.TakeMark(now).has_value());
  pacer.OnMark(7, now);
  EXPECT_FALSE(pacer.MaySend(1000, now));
}

TEST(Pacer, ARouteThatBecameLongerIsBelievedAfterAWhile) {
  PacerOptions options;
  options.base_memory = base::seconds(10);
  Pacer pacer(options);
  base::Time now{base::hours(1)};
  pacer.OnRoundTrip(milliseconds(1), now);
  const auto carry = [&] {
    for (int i = 0; i < 100; ++i) {
      while (pacer.MaySend(pacer.piece_bytes(), now)) pacer.OnSent(pacer.piece_bytes());
      const auto mark = pacer.TakeMark(now);
      now += milliseconds(200);
      if (mark) pacer.OnMark(*mark, now);
    }
  };
  carry();
  const size_t narrow = pacer.window();
  now += base::minutes(1);
  carry();
  EXPECT_GT(pacer.window(), narrow * 4);
}

}  // namespace
}  // namespace fairlead::wire
