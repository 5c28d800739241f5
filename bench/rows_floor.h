#pragma once

#include "absl/status/statusor.h"
#include "bench/rows.h"

// What B9 compares with, each by the database's own client library and without anything of ours:
// no decision, no fence, no sums. Rows have the same columns, indexes and bodies as the endpoint's.
namespace fairlead::bench {

struct FloorCost {
  RowsCost insert;
  RowsCost update;  // every row again, with another body
};

// A transaction for each `batch_rows`, bodies compressed as ours are and in the same call.
// PostgreSQL: COPY into a temporary table, then one INSERT ... SELECT ... ON CONFLICT. MariaDB: one
// INSERT with all rows. The database holds nothing of ours.
absl::StatusOr<FloorCost> RunMerge(const RowsDatabase& database, const RowsWorkload& workload);

// One prepared upsert and one commit for each row, bodies as they are.
absl::StatusOr<FloorCost> RunRowAtATime(const RowsDatabase& database, const RowsWorkload& workload);

}  // namespace fairlead::bench
