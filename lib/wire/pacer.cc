#include "lib/wire/pacer.h"

#include <algorithm>
#include <utility>

namespace fairlead::wire {

namespace {

constexpr size_t kMostMarks = 8;
constexpr base::Duration kRest = base::seconds(1);
constexpr base::Duration kLong = base::milliseconds(20);
constexpr base::Duration kShortest = base::microseconds(100);

}  // namespace

Pacer::Pacer(const PacerOptions& options) : options_(options), window_(options.first_window) {}

bool Pacer::MaySend(size_t bytes, base::Time now) {
  if (now - last_sent_ > kRest && in_flight() < options_.first_window && BaseRoundTrip() > kLong) {
    window_ = std::min(window_, options_.first_window);
  }
  full_ = in_flight() > 0 && in_flight() + bytes > window_;
  if (in_flight() == 0) used_ = false;
  if (full_ && !limited_) {
    limited_ = used_ = true;
    filled_at_ = next_mark_ - 1;
  }
  if (!full_) last_sent_ = now;
  return !full_;
}

// What is not marked counts as on its way, so it is little while the window is in use; a trickle is
// hardly marked. What fills the window is marked in any case.
std::optional<uint64_t> Pacer::TakeMark(base::Time now) {
  const size_t unmarked = sent_ - marked_;
  if (unmarked == 0) return std::nullopt;
  const size_t enough = used_ ? window_ / 8 : window_ / 2;
  const bool covered = !full_ || !marks_.empty();
  if (covered && (unmarked < enough || marks_.size() >= kMostMarks)) return std::nullopt;
  marks_.push_back({next_mark_, sent_, now});
  marked_ = sent_;
  return next_mark_++;
}

void Pacer::OnMark(uint64_t number, base::Time now) {
  if (marks_.empty() || marks_.front().number != number) return;
  const Sent mark = marks_.front();
  marks_.pop_front();
  arrived_ = mark.through;
  const base::Duration took = std::max(now - mark.at, kShortest);
  OnRoundTrip(took, now);
  // A sender that had nothing more to say does not tell what the line can do, nor does a mark from
  // before this window was full.
  if (!limited_ || number <= filled_at_) return;
  const auto allowed = static_cast<double>((BaseRoundTrip() + options_.target).count());
  const bool waited = took > BaseRoundTrip() + options_.target / 2;
  const double factor =
      std::clamp(allowed / static_cast<double>(took.count()), waited ? 0.0 : 1.5, 2.0);
  window_ = std::clamp(static_cast<size_t>(static_cast<double>(window_) * factor),
                       options_.least_window, options_.most_window);
  limited_ = false;
}

void Pacer::OnRoundTrip(base::Duration took, base::Time now) {
  if (now - period_since_ >= options_.base_memory) {
    least_before_ = std::exchange(least_now_, base::Duration::max());
    period_since_ = now;
  }
  least_now_ = std::min(least_now_, std::max(took, kShortest));
}

base::Duration Pacer::BaseRoundTrip() const { return std::min(least_now_, least_before_); }

}  // namespace fairlead::wire
