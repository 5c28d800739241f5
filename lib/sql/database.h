#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/sql/connection.h"

namespace fairlead::sql {

// Which database, and how to reach it.
struct DatabaseOptions {
  // A password in it is refused. "" = SQLite at `sqlite_path`. Otherwise
  //   postgresql://[user@]host[:port]/database[?option=value..]   options as libpq takes them
  //   mariadb://user@host[:port]/database[?ca=FILE][&socket=PATH]
  std::string url;
  std::string password;          // not for SQLite
  std::string sqlite_path;       // a file
  int64_t sqlite_max_pages = 0;  // for tests of a full disk; 0 = no limit
};

enum class Access { kReadWrite, kReadOnly };

// Errors: FailedPrecondition = the URL cannot be right, access denied, no such database;
// Unavailable = not there now.
absl::StatusOr<std::unique_ptr<Connection>> Open(const DatabaseOptions& options, Access access);

// The database for people and logs: its URL without what may be a password (and without options),
// or the file.
std::string Describe(const DatabaseOptions& options);

}  // namespace fairlead::sql
