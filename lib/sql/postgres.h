#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/sql/connection.h"

namespace fairlead::sql {

struct PostgresOptions {
  std::string url;  // as libpq takes it: postgresql://user@host:5432/database?sslmode=verify-full
  std::string password;  // "" = libpq's own ways (PGPASSFILE, peer, certificates)
  bool read_only = false;
  int connect_timeout_s = 5;
  int statement_timeout_ms = 30'000;          // the server gives the statement up
  int answer_timeout_ms = 35'000;             // we give the server up
  int idle_in_transaction_timeout_ms = 1000;  // the server ends a session that stands still in one
};

// A connection to PostgreSQL 13 or later (tested: 15).
//
// After a connection could not be made the next try is a second later at the earliest: until then
// every call is Unavailable at once.
absl::StatusOr<std::unique_ptr<Connection>> OpenPostgres(const PostgresOptions& options);

}  // namespace fairlead::sql
