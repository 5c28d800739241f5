#include "lib/sql/migrator.h"

#include "lib/base/check.h"
#include "lib/base/status.h"

namespace fairlead::sql {
namespace {

struct Found {
  int version = 0;
  int least_program = 0;
};

absl::StatusOr<Found> ReadVersion(Connection& connection) {
  FAIRLEAD_ASSIGN_OR_RETURN(auto query,
                            connection.Prepare("SELECT version, least_program FROM schema_versions "
                                               "ORDER BY version DESC LIMIT 1"));
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return Found{};
  return Found{static_cast<int>(query->Int(0)), static_cast<int>(query->Int(1))};
}

absl::Status Apply(Connection& connection, const Migration& migration, const base::Clock& clock) {
  Transaction transaction(&connection);
  FAIRLEAD_RETURN_IF_ERROR(transaction.Begin());
  FAIRLEAD_ASSIGN_OR_RETURN(const Found found, ReadVersion(connection));
  if (found.version >= migration.version) return absl::OkStatus();  // another process was faster
  FAIRLEAD_RETURN_IF_ERROR(connection.Execute(connection.dialect().Expand(migration.ddl)));
  FAIRLEAD_RETURN_IF_ERROR(Run(connection,
                               "INSERT INTO schema_versions (version, least_program, what, "
                               "applied_ms) VALUES (?, ?, ?, ?)",
                               migration.version, migration.least_program,
                               std::string_view(migration.what), clock.WallMs())
                               .status());
  return transaction.Commit();
}

// Keeps other processes out. SQLite's write lock does that by itself.
class SchemaLock {
 public:
  explicit SchemaLock(Connection* connection) : connection_(connection) {}
  ~SchemaLock() {
    const std::string_view text = Text("SELECT pg_advisory_unlock(6184279)",
                                       "SELECT RELEASE_LOCK(concat('fairlead/', database()))");
    if (!text.empty()) connection_->Execute(text).IgnoreError();
  }
  SchemaLock(const SchemaLock&) = delete;
  SchemaLock& operator=(const SchemaLock&) = delete;
  absl::Status Take() {
    const std::string_view text = Text("SELECT 1, pg_advisory_lock(6184279)",
                                       "SELECT GET_LOCK(concat('fairlead/', database()), 5)");
    if (text.empty()) return absl::OkStatus();
    FAIRLEAD_ASSIGN_OR_RETURN(const auto query, connection_->Prepare(text));
    FAIRLEAD_RETURN_IF_ERROR(query->Step().status());
    if (query->Int(0) == 1) return absl::OkStatus();
    return absl::UnavailableError("another process has been changing the schema for 5 s");
  }

 private:
  [[nodiscard]] std::string_view Text(std::string_view postgres, std::string_view mysql) const {
    switch (connection_->dialect().engine) {
      case Dialect::Engine::kPostgres:
        return postgres;
      case Dialect::Engine::kMysql:
        return mysql;
      case Dialect::Engine::kSqlite:
        return "";
    }
    return "";
  }
  Connection* connection_;
};

}  // namespace

absl::StatusOr<int> Migrate(Connection& connection, std::span<const Migration> migrations,
                            const base::Clock& clock) {
  SchemaLock lock(&connection);
  FAIRLEAD_RETURN_IF_ERROR(lock.Take());
  FAIRLEAD_RETURN_IF_ERROR(connection.Execute(connection.dialect().Expand(
      "CREATE TABLE IF NOT EXISTS schema_versions (version ${int} NOT NULL PRIMARY KEY, "
      "least_program ${int} NOT NULL, what ${text} NOT NULL, applied_ms ${int} NOT NULL)")));
  FAIRLEAD_ASSIGN_OR_RETURN(const Found found, ReadVersion(connection));
  int expected = 1;
  for (const Migration& migration : migrations) {
    FAIRLEAD_CHECK(migration.version == expected++);
    if (migration.version <= found.version) continue;
    FAIRLEAD_RETURN_IF_ERROR(base::WithContext(
        Apply(connection, migration, clock),
        base::StrCat("migrate to schema version ", migration.version, " (", migration.what, ")")));
  }
  FAIRLEAD_ASSIGN_OR_RETURN(const Found now, ReadVersion(connection));
  const int ours = migrations.empty() ? 0 : migrations.back().version;
  if (now.version > ours && now.least_program > ours) {
    return absl::FailedPreconditionError(
        base::StrCat("the database has schema version ", now.version,
                     ", which needs a program that knows version ", now.least_program,
                     "; this one knows ", ours, ": start the newer release again"));
  }
  return now.version;
}

}  // namespace fairlead::sql
