#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "endpoint/store/types.h"

namespace fairlead::endpoint::store {

// Anchors as one value of a row: a line each, its four parts divided by tabs (which no name, uid or
// version may hold; the wire's decoder sees to that).
std::string PackAnchors(const std::vector<Anchor>& anchors);
// What is damaged is left out.
std::vector<Anchor> UnpackAnchors(std::string_view packed);

}  // namespace fairlead::endpoint::store
