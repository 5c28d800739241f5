#pragma once

#include "absl/status/statusor.h"
#include "cli/arguments.h"
#include "cli/connection.h"

// The verbs: ask, give the answer to the pure code beside, print. They return the exit code; an
// error is what kept them from an answer.
namespace fairlead::cli {

absl::StatusOr<int> RunAccounts(const Arguments& arguments, Connection& connection);
absl::StatusOr<int> RunObjects(const Arguments& arguments, Connection& connection);
absl::StatusOr<int> RunFreshness(const Arguments& arguments, Connection& connection);
absl::StatusOr<int> RunAudit(const Arguments& arguments, Connection& connection);
absl::StatusOr<int> RunConfirmDeletes(const Arguments& arguments, Connection& connection);
absl::StatusOr<int> RunStatus(const Arguments& arguments, Connection& connection);

}  // namespace fairlead::cli
