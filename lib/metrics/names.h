#pragma once

// Every metric name of Fairlead, in one place. docs/reference/metrics.md is compared with this file
// by a test. Add `inline constexpr char kName[] = "fairlead_...";  // unit; what it counts`.
namespace fairlead::metrics {}  // namespace fairlead::metrics
