#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "endpoint/store/row_plan.h"
#include "lib/base/clock.h"

namespace fairlead::sql {
class Connection;
}

namespace fairlead::endpoint::store {

// The tables of objects and tombstones, for a RowPlan: reads and writes many rows in few round
// trips, at most 500 rows and about 1 MiB of stored bodies (4 MiB before compression) in one.
// Errors are the database's.
class RowTable {
 public:
  RowTable(sql::Connection* connection, const base::Clock* clock, int compression_level);

  // What the tables hold of these objects of one kind, into the plan; what is there already stays.
  absl::Status Load(int64_t kind_id, const std::vector<ObjectName>& names, RowPlan* plan);
  // All of the plan's writes. Rows and tombstones are marked as written by `seq`.
  absl::Status Write(const RowPlan& plan, uint64_t seq);

 private:
  absl::Status Remove(const std::vector<int64_t>& ids);
  absl::Status Put(const std::vector<RowWrites::Put>& rows, uint64_t seq);
  absl::Status Confirm(const std::vector<const StoredRow*>& rows);
  absl::Status Bury(const std::vector<RowWrites::Bury>& tombstones, uint64_t seq);
  absl::Status DigUp(const std::vector<const RowKey*>& keys);

  sql::Connection* connection_;
  const base::Clock* clock_;
  const int compression_level_;
  const std::string put_, bury_;  // the database's own text
};

}  // namespace fairlead::endpoint::store
