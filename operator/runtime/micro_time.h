#pragma once

#include <string>

#include "lib/base/clock.h"

namespace fairlead::op {

// Now as metav1.MicroTime: RFC 3339 with six digits of seconds.
std::string MicroTime(const base::Clock& clock);

}  // namespace fairlead::op
