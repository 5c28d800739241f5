#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fairlead::base {

// The member of `valid` with the smallest edit distance to `given`, or "" when `valid` is empty.
// For messages like: unknown key "endpiont"; did you mean "endpoint"?
std::string Nearest(std::string_view given, const std::vector<std::string>& valid);

}  // namespace fairlead::base
