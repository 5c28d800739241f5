#pragma once

// FAIRLEAD_CHECK(condition) ends the process with the place and the condition when an invariant of
// our own is broken. Never for input: input errors are absl::Status.
namespace fairlead::base {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace fairlead::base

#define FAIRLEAD_CHECK(condition) \
  ((condition) ? void(0) : ::fairlead::base::CheckFailed(__FILE__, __LINE__, #condition))
