#pragma once

#include <chrono>
#include <cstdint>

// Time for code that has timers. Durations are monotonic; wall time is only for people and
// certificates. State machines take `Time now` as an argument; shells ask a Clock.
namespace fairlead::base {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Milliseconds of `d`, rounded down; negative durations give 0 (ages are never negative).
inline int64_t AgeMs(Duration d) {
  const int64_t ms = std::chrono::duration_cast<milliseconds>(d).count();
  return ms < 0 ? 0 : ms;
}

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time Now() const = 0;
  // Milliseconds since the Unix epoch.
  [[nodiscard]] virtual int64_t WallMs() const = 0;

  // The machine's clocks.
  static const Clock& Real();
};

// A clock that a test moves by hand. Not thread-safe.
class ManualClock : public Clock {
 public:
  [[nodiscard]] Time Now() const override { return now_; }
  [[nodiscard]] int64_t WallMs() const override { return wall_ms_; }
  void Advance(Duration d) {
    now_ += d;
    wall_ms_ += AgeMs(d);
  }

 private:
  Time now_{std::chrono::hours(1)};
  int64_t wall_ms_ = 1'700'000'000'000;
};

}  // namespace fairlead::base
