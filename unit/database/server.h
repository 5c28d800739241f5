#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/sql/database.h"

namespace fairlead::test {

// A real database server of this process alone, in a folder of its own (tools/database/serve).
class DatabaseServer {
 public:
  using Engine = sql::Dialect::Engine;

  // The one that tests of this process share; started at the first call. Ends the test when it does
  // not come up.
  static DatabaseServer& Shared(Engine engine);

  // `engine`: kPostgres or kMysql. With kOff a machine that dies may take everything with it; tests
  // want that, measurements do not.
  enum class Fsync { kOff, kOn };
  explicit DatabaseServer(Engine engine, Fsync fsync = Fsync::kOff);
  ~DatabaseServer();
  DatabaseServer(const DatabaseServer&) = delete;
  DatabaseServer& operator=(const DatabaseServer&) = delete;

  absl::Status Start();
  // Without a word to anybody, as a machine dies.
  void Kill();
  // SIGSTOP and SIGCONT to every process of it.
  void Pause();
  void Continue();
  // A database that nothing is in.
  absl::StatusOr<sql::DatabaseOptions> MakeDatabase();
  // User and system time of all its processes, ended ones included; in steps of 10 ms.
  [[nodiscard]] double CpuMicros() const;

 private:
  [[nodiscard]] sql::DatabaseOptions OptionsOf(const std::string& database) const;
  void Signal(int number) const;

  const Engine engine_;
  const Fsync fsync_;
  std::string folder_;
  pid_t pid_ = 0;
  int databases_ = 0;
};

// What a test of one engine opens: an SQLite file in `folder`, or a new database of the shared
// server.
sql::DatabaseOptions NewDatabase(sql::Dialect::Engine engine, const std::string& folder);

// For the names of tests.
std::string NameOf(sql::Dialect::Engine engine);

}  // namespace fairlead::test
