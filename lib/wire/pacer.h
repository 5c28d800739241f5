#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "lib/base/clock.h"

namespace fairlead::wire {

struct PacerOptions {
  base::Duration target = base::milliseconds(60);  // that bulk may add to a round trip
  // Also after a second of rest on a long line. TCP begins, and begins again, with 14 KB.
  size_t first_window = size_t{8} << 10;
  size_t least_window = size_t{8} << 10;
  size_t least_piece = size_t{2} << 10;  // below, a piece's own cost is more than what it saves
  size_t most_window = size_t{8} << 20;
  base::Duration base_memory = base::minutes(10);  // a route that became longer is believed then
};

// How many bytes of bulk may be on their way on one connection, so that a small message sent now on
// another stream of it waits no longer than `target` behind them. Marks are put between the
// bytes, and the other end echoes each at once: that takes an idle round trip and the time that the
// bytes before it waited for the line. Once a round trip the window becomes what the line carried
// in it times (idle round trip + target), at most twice what it was, and half as much again while
// next to nothing waited. (LEDBAT, RFC 6817, bounds the delay in the same way, and TCP Vegas finds
// the window.)
//
// Assumes: every mark is answered, in order, or the connection ends, and with it this object.
// Bounds: the window, or one message where that is larger; at most eight marks are on their way.
// Pure; one thread. Tests: unit/lib/wire/pacer_test.cc.
class Pacer {
 public:
  explicit Pacer(const PacerOptions& options);

  // False: not before another answer.
  [[nodiscard]] bool MaySend(size_t bytes, base::Time now);
  // The most that should be sent at once.
  [[nodiscard]] size_t piece_bytes() const { return std::max(window_ / 8, options_.least_piece); }
  [[nodiscard]] size_t window() const { return window_; }
  [[nodiscard]] size_t in_flight() const { return sent_ - arrived_; }

  void OnSent(size_t bytes) { sent_ += bytes; }
  // The number of a mark to be sent behind what was sent, if one is due. To be asked after each
  // OnSent() and OnMark(): whoever may not send waits for an answer.
  [[nodiscard]] std::optional<uint64_t> TakeMark(base::Time now);
  void OnMark(uint64_t number, base::Time now);
  // Of any small message, whatever was on its way beside it.
  void OnRoundTrip(base::Duration took, base::Time now);

 private:
  struct Sent {
    uint64_t number = 0;
    size_t through = 0;  // bytes sent when the mark was
    base::Time at{};
  };

  [[nodiscard]] base::Duration BaseRoundTrip() const;

  PacerOptions options_;
  size_t window_;
  size_t sent_ = 0;
  size_t arrived_ = 0;
  size_t marked_ = 0;       // bytes sent before the last mark
  bool full_ = false;       // something waits for an answer
  bool limited_ = false;    // something did since the window was set
  bool used_ = false;       // something did since nothing was on its way
  uint64_t filled_at_ = 0;  // the last mark sent before
  uint64_t next_mark_ = 1;
  base::Time last_sent_{};
  std::deque<Sent> marks_;
  // Least round trip of the current and of the last period.
  base::Duration least_now_ = base::Duration::max();
  base::Duration least_before_ = base::Duration::max();
  base::Time period_since_{};
};

}  // namespace fairlead::wire
