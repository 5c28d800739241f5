#include "lib/sql/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <string_view>
#include <utility>

#include "lib/base/status.h"
#include "lib/sql/statement_cache.h"

namespace fairlead::sql {
namespace {

absl::StatusCode CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_OK:
      return absl::StatusCode::kOk;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kAlreadyExists;
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return absl::StatusCode::kOutOfRange;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_MISUSE:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrorOf(sqlite3* db, int result, std::string_view doing) {
  return absl::Status(CodeOf(result), base::StrCat("SQLite: ", doing, ": ", sqlite3_errmsg(db),
                                                   " (", sqlite3_extended_errcode(db), ")"));
}

class SqliteStatement : public Statement {
 public:
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement, std::string key)
      : db_(db), statement_(statement), key_(std::move(key)) {}
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  void BindInt(int index, int64_t value) override {
    Remember(sqlite3_bind_int64(statement_, index + 1, value));
  }
  void BindText(int index, std::string_view value) override {
    Remember(sqlite3_bind_text64(statement_, index + 1, value.data() != nullptr ? value.data() : "",
                                 value.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  void BindBlob(int index, std::string_view value) override {
    Remember(sqlite3_bind_blob64(statement_, index + 1, value.data() != nullptr ? value.data() : "",
                                 value.size(), SQLITE_STATIC));
  }
  void BindNull(int index) override { Remember(sqlite3_bind_null(statement_, index + 1)); }

  absl::StatusOr<bool> Step() override {
    if (bind_result_ != SQLITE_OK) return ErrorOf(db_, bind_result_, "bind");
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    absl::Status status = ErrorOf(db_, result, "step");
    sqlite3_reset(statement_);
    return status;
  }

  void Reset() override {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    bind_result_ = SQLITE_OK;
  }

  [[nodiscard]] int64_t Int(int column) const override {
    return sqlite3_column_int64(statement_, column);
  }
  [[nodiscard]] std::string_view Text(int column) const override {
    const void* data = sqlite3_column_blob(statement_, column);
    if (data == nullptr) return {};
    return {static_cast<const char*>(data),
            static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }
  [[nodiscard]] bool IsNull(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }
  [[nodiscard]] const std::string& key() const { return key_; }

 private:
  void Remember(int result) {
    if (bind_result_ == SQLITE_OK) bind_result_ = result;
  }

  sqlite3* db_;
  sqlite3_stmt* statement_;
  std::string key_;
  int bind_result_ = SQLITE_OK;
};

class SqliteConnection : public Connection {
 public:
  explicit SqliteConnection(sqlite3* db) : db_(db) {}
  ~SqliteConnection() override {
    cache_.Clear();
    sqlite3_close_v2(db_);
  }

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override {
    if (auto kept = cache_.Take(sql)) return StatementPtr(kept.release(), GiveBack{this});
    sqlite3_stmt* compiled = nullptr;
    const int result = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &compiled, nullptr);
    if (result != SQLITE_OK) return ErrorOf(db_, result, base::StrCat("prepare ", sql));
    if (compiled == nullptr) return absl::InternalError("SQLite: prepare: empty statement");
    return StatementPtr(new SqliteStatement(db_, compiled, std::string(sql)), GiveBack{this});
  }

  absl::Status Execute(std::string_view sql) override {
    const int result = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) return ErrorOf(db_, result, sql.substr(0, 60));
    return absl::OkStatus();
  }

  [[nodiscard]] int64_t Changes() const override { return sqlite3_changes64(db_); }
  [[nodiscard]] absl::StatusOr<int64_t> LastInsertId() override {
    return sqlite3_last_insert_rowid(db_);
  }
  absl::Status Begin() override { return Execute("BEGIN IMMEDIATE"); }
  absl::Status BeginRead() override { return Execute("BEGIN"); }
  absl::Status Commit() override { return Execute("COMMIT"); }
  void Rollback() override {
    if (InTransaction()) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  [[nodiscard]] bool InTransaction() const override { return sqlite3_get_autocommit(db_) == 0; }

  absl::Status SetDurability(Durability durability) override {
    if (durability == durability_) return absl::OkStatus();
    if (InTransaction())
      return absl::FailedPreconditionError("SQLite: durability in a transaction");
    FAIRLEAD_RETURN_IF_ERROR(Execute(
        durability == Durability::kFull ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    durability_ = durability;
    return absl::OkStatus();
  }
  [[nodiscard]] const Dialect& dialect() const override { return Dialect::Sqlite(); }

 protected:
  void Return(Statement* statement) override {
    std::unique_ptr<SqliteStatement> owned(static_cast<SqliteStatement*>(statement));
    owned->Reset();
    cache_.Keep(std::move(owned));
  }

 private:
  sqlite3* db_;
  Durability durability_ = Durability::kFull;
  StatementCache<SqliteStatement> cache_;
};

// SQLite makes files with mode 0644 and copies the mode to the -wal and -shm files, so it is made
// here.
absl::Status MakePrivate(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        base::StrCat("open database ", path, ": ", std::string_view(strerror(errno)),
                     "; check that the folder exists and may be written"));
  }
  close(fd);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> OpenSqlite(const SqliteOptions& options) {
  if (!options.read_only) FAIRLEAD_RETURN_IF_ERROR(MakePrivate(options.path));
  sqlite3* db = nullptr;
  const int flags =
      SQLITE_OPEN_NOMUTEX | (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
  const int result = sqlite3_open_v2(options.path.c_str(), &db, flags, nullptr);
  auto connection = std::make_unique<SqliteConnection>(db);
  if (result != SQLITE_OK) return ErrorOf(db, result, base::StrCat("open ", options.path));
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, options.busy_timeout_ms);
  std::string setup = base::StrCat("PRAGMA cache_size=-", options.cache_kib,
                                   ";PRAGMA foreign_keys=OFF;PRAGMA temp_store=MEMORY;");
  if (options.read_only) {
    setup += "PRAGMA query_only=ON;";
  } else {
    setup +=
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=4000;"
        "PRAGMA journal_size_limit=67108864;";
  }
  if (options.max_pages > 0)
    setup += base::StrCat("PRAGMA max_page_count=", options.max_pages, ";");
  FAIRLEAD_RETURN_IF_ERROR(
      base::WithContext(connection->Execute(setup), base::StrCat("open ", options.path)));
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace fairlead::sql
