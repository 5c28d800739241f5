#pragma once

namespace fairlead::base {

// Of all binaries of one build; CMakeLists.txt says the same.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace fairlead::base
