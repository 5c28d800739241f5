#pragma once

#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/sql/connection.h"

namespace fairlead::sql {

struct Migration {
  int version;  // 1, 2, 3, ... without gaps
  // The oldest program version that still runs on the schema after this migration. Within a minor
  // version migrations only add, so that the release before runs on the schema of the one after.
  int least_program;
  const char* what;
  const char* ddl;  // types by the names of Dialect
};

// Brings a database to the last of `migrations`, each in a transaction of its own, and remembers
// them in table schema_versions. Two processes may do it at once. MariaDB commits each statement of
// a schema by itself: a migration's statements must bear being run again.
//
// Returns the version found or reached. A schema newer than ours is left alone and is fine as long
// as it says our version still runs on it; else FailedPrecondition, which names both versions.
absl::StatusOr<int> Migrate(Connection& connection, std::span<const Migration> migrations,
                            const base::Clock& clock);

}  // namespace fairlead::sql
