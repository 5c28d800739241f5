#pragma once

#include <vector>

#include "unit/model/world.h"

namespace fairlead::model {

struct NamedWorld {
  const char* name;
  Bounds bounds;
  bool small = false;  // whole in a second
};

// The worlds that are searched. Each is as large as a few minutes allow.
const std::vector<NamedWorld>& Worlds();

}  // namespace fairlead::model
