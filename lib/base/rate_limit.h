#pragma once

#include <algorithm>
#include <chrono>

#include "lib/base/clock.h"

namespace fairlead::base {

// A token bucket: `burst` at once, `per_second` in the long run. Pure; one thread.
class RateLimit {
 public:
  RateLimit(double per_second, double burst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  // False: too many.
  [[nodiscard]] bool Take(Time now) {
    if (last_ != Time{}) {
      const double passed = std::chrono::duration<double>(now - last_).count();
      tokens_ = std::min(burst_, tokens_ + passed * per_second_);
    }
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  Time last_{};
};

}  // namespace fairlead::base
