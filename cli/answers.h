#pragma once

#include <string_view>

#include "absl/status/status.h"

// Errors as a person needs them: what was asked, why it failed, what to do next. Pure.
namespace fairlead::cli {

// An answer that is not 2xx. PermissionDenied (401, 403), NotFound, InvalidArgument (400),
// Unavailable (everything else, which may pass).
absl::Status AnswerError(int code, std::string_view body);

// Why no answer came, with a next step.
absl::Status TransportError(const absl::Status& status);

}  // namespace fairlead::cli
