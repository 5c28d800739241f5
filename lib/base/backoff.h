#pragma once

#include <cstdint>

#include "lib/base/clock.h"

namespace fairlead::base {

struct BackoffOptions {
  Duration first = milliseconds(200);
  Duration most = seconds(30);
  double factor = 2.0;
};

// Exponential backoff with full jitter: each delay is uniform in [first / 2, ceiling], the ceiling
// grows by `factor` up to `most`. Reset() after real progress (an ack), not after a mere connect.
// Deterministic for a seed. Not thread-safe.
class Backoff {
 public:
  explicit Backoff(const BackoffOptions& options, uint64_t seed);
  [[nodiscard]] Duration Next();
  void Reset();

 private:
  BackoffOptions options_;
  Duration ceiling_;
  uint64_t state_;
};

// A small, fast, seedable generator for jitter (SplitMix64; not for secrets).
uint64_t NextRandom(uint64_t* state);

}  // namespace fairlead::base
