#include "operator/runtime/micro_time.h"

#include <cstdio>
#include <ctime>

namespace fairlead::op {

std::string MicroTime(const base::Clock& clock) {
  const int64_t ms = clock.WallMs();
  const time_t seconds = ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  char fraction[16];
  std::snprintf(fraction, sizeof(fraction), ".%06dZ", static_cast<int>(ms % 1000) * 1000);
  return std::string(text, size) + fraction;
}

}  // namespace fairlead::op
