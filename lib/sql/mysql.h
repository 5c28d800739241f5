#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/sql/connection.h"

namespace fairlead::sql {

struct MysqlOptions {
  std::string host;  // "" together with `socket`
  uint16_t port = 3306;
  std::string socket;  // path of a Unix socket
  std::string user;
  std::string password;
  std::string database;
  std::string ca_file;  // verifies the server, by name too; "" = no TLS
  bool read_only = false;
  int connect_timeout_s = 5;
  int statement_timeout_s = 30;           // the server gives the statement up
  int answer_timeout_s = 35;              // we give the server up
  int idle_in_transaction_timeout_s = 1;  // the server ends a session that stands still in one
};

// A connection to MariaDB 10.6 or later (tested: 10.11).
//
// After a connection could not be made the next try is a second later at the earliest: until then
// every call is Unavailable at once. Durability is the server's (innodb_flush_log_at_trx_commit): a
// session cannot choose it.
absl::StatusOr<std::unique_ptr<Connection>> OpenMysql(const MysqlOptions& options);

}  // namespace fairlead::sql
