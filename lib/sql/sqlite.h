#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/sql/connection.h"

namespace fairlead::sql {

struct SqliteOptions {
  std::string path;
  bool read_only = false;
  int busy_timeout_ms = 5000;
  int64_t max_pages = 0;  // PRAGMA max_page_count: for tests of a full disk; 0 = none
  int64_t cache_kib = 16 * 1024;
};

// A SQLite file in WAL mode: readers and the one writer do not block each other. Created with mode
// 0600 when absent. Foreign keys are off: the writers keep references right, and checks cost per
// row.
absl::StatusOr<std::unique_ptr<Connection>> OpenSqlite(const SqliteOptions& options);

}  // namespace fairlead::sql
