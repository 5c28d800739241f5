#include "lib/base/backoff.h"

#include <algorithm>

namespace fairlead::base {

uint64_t NextRandom(uint64_t* state) {
  uint64_t z = (*state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

Backoff::Backoff(const BackoffOptions& options, uint64_t seed)
    : options_(options), ceiling_(options.first), state_(seed) {}

Duration Backoff::Next() {
  const Duration low = options_.first / 2;
  const double share = static_cast<double>(NextRandom(&state_) >> 11) / 9007199254740992.0;
  const auto span = static_cast<double>((ceiling_ - low).count());
  const Duration delay = low + Duration(static_cast<int64_t>(span * share));
  const auto grown = static_cast<double>(ceiling_.count()) * options_.factor;
  ceiling_ = std::min(options_.most, Duration(static_cast<int64_t>(grown)));
  return delay;
}

void Backoff::Reset() { ceiling_ = options_.first; }

}  // namespace fairlead::base
