#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/strings.h"

// Glue over absl::Status: early return, and context added on the way up.
namespace fairlead::base {

// The same status with "context: " before its message; OK stays OK.
inline absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), StrCat(context, ": ", status.message()));
}

}  // namespace fairlead::base

#define FAIRLEAD_RETURN_IF_ERROR(expression)                                \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define FAIRLEAD_CONCAT_(a, b) a##b
#define FAIRLEAD_CONCAT(a, b) FAIRLEAD_CONCAT_(a, b)
#define FAIRLEAD_ASSIGN_OR_RETURN(left, expression) \
  FAIRLEAD_ASSIGN_OR_RETURN_(FAIRLEAD_CONCAT(status_or_, __LINE__), left, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): names that are declared cannot stand in parentheses.
#define FAIRLEAD_ASSIGN_OR_RETURN_(temporary, left, expression) \
  auto temporary = (expression);                                \
  if (!temporary.ok()) return temporary.status();               \
  left = *std::move(temporary)
// NOLINTEND(bugprone-macro-parentheses)
