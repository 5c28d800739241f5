#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead::base {

// Orders two resourceVersions of one resource as unbounded decimal numbers (KEP-5504):
// negative, zero or positive. nullopt when either is not decimal digits: then only equality means
// anything, and doubt means a snapshot.
std::optional<int> CompareResourceVersions(std::string_view a, std::string_view b);

}  // namespace fairlead::base
