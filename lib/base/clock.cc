#include "lib/base/clock.h"

namespace fairlead::base {
namespace {

class RealClock : public Clock {
 public:
  [[nodiscard]] Time Now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] int64_t WallMs() const override {
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

}  // namespace fairlead::base
