#pragma once

#include <string_view>

#include "lib/base/resource_version.h"
#include "lib/kube/errors.h"

// How the watch machine reads answers; for its .cc files.
namespace fairlead::kube {

// The server will not show this resource: rights, or it does not know it.
inline bool IsRefusal(const ApiError& error) {
  return error.reason == Reason::kForbidden || error.reason == Reason::kNotFound ||
         error.reason == Reason::kMethodNotAllowed;
}

// The server does not understand the question (no field selectors, no exact lists), or the version
// is too old to be asked about.
inline bool AnswersNothing(const ApiError& error) {
  return error.expired() || error.reason == Reason::kBadRequest || error.reason == Reason::kInvalid;
}

inline ApiError Malformed(std::string_view what) {
  ApiError error;
  error.reason = Reason::kMalformed;
  error.message = std::string(what);
  return error;
}

// False also when the two cannot be ordered.
inline bool Older(std::string_view a, std::string_view b) {
  const std::optional<int> order = base::CompareResourceVersions(a, b);
  return order.has_value() && *order < 0;
}

inline bool NewerOrUnordered(std::string_view a, std::string_view b) {
  const std::optional<int> order = base::CompareResourceVersions(a, b);
  return order.has_value() ? *order > 0 : a != b;
}

}  // namespace fairlead::kube
