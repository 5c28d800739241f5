#include "lib/sql/mysql.h"

#include <mysql.h>

#include <charconv>
#include <deque>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/sql/redial.h"
#include "lib/sql/statement_cache.h"

namespace fairlead::sql {
namespace {

// By error number (MariaDB documentation, "MariaDB error codes"); 2000 and more are the client's.
absl::StatusCode CodeOf(unsigned error) {
  switch (error) {
    case 1021:  // disk full
    case 1037:
    case 1038:  // out of memory
    case 1041:
    case 1114:  // table full
      return absl::StatusCode::kResourceExhausted;
    case 1022:
    case 1048:
    case 1062:  // duplicate
    case 1451:
    case 1452:
    case 4025:  // CHECK
      return absl::StatusCode::kAlreadyExists;
    case 1071:
    case 1118:  // row too large
    case 1153:  // packet too large
    case 1264:
    case 1366:  // not of the character set
    case 1406:  // too long
      return absl::StatusCode::kOutOfRange;
    case 1033:
    case 1034:
    case 1194:
    case 1195:
    case 1712:  // index corrupt
      return absl::StatusCode::kDataLoss;
    case 1044:
    case 1045:  // access denied
    case 1049:  // no such database
    case 1142:
    case 1227:
    case 1698:
      return absl::StatusCode::kFailedPrecondition;
    case 1040:  // too many connections
    case 1047:  // a cluster's node that is not ready
    case 1053:  // shutdown
    case 1203:
    case 1205:  // lock wait
    case 1213:  // deadlock: the server rolled back
    case 1290:  // read only
    case 1317:
    case 1792:
    case 1836:
    case 1927:  // killed
    case 1969:  // statement timeout
    case 4031:  // idle for too long
      return absl::StatusCode::kUnavailable;
    default:
      return error >= 2000 && error < 3000 ? absl::StatusCode::kUnavailable
                                           : absl::StatusCode::kInternal;
  }
}

bool IsInteger(enum_field_types type) {
  return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 ||
         type == MYSQL_TYPE_LONG || type == MYSQL_TYPE_LONGLONG;
}

class MysqlConnection;

class MysqlStatement : public Statement {
 public:
  MysqlStatement(MysqlConnection* connection, MYSQL_STMT* statement, std::string key,
                 uint64_t generation)
      : connection_(connection),
        statement_(statement),
        key_(std::move(key)),
        generation_(generation) {
    const size_t parameters = mysql_stmt_param_count(statement_);
    integers_.resize(parameters);
    parameters_.resize(parameters);
    ClearParameters();
  }
  ~MysqlStatement() override { mysql_stmt_close(statement_); }

  void BindInt(int index, int64_t value) override {
    integers_.at(index) = value;
    MYSQL_BIND& bind = parameters_.at(index);
    bind = {};
    bind.buffer_type = MYSQL_TYPE_LONGLONG;
    bind.buffer = &integers_[index];
  }
  void BindText(int index, std::string_view value) override {
    BindBytes(index, value, MYSQL_TYPE_STRING);
  }
  void BindBlob(int index, std::string_view value) override {
    BindBytes(index, value, MYSQL_TYPE_BLOB);
  }
  void BindNull(int index) override {
    MYSQL_BIND& bind = parameters_.at(index);
    bind = {};
    bind.buffer_type = MYSQL_TYPE_NULL;
  }
  absl::StatusOr<bool> Step() override;
  void Reset() override;
  // All rows in one message (documentation, "COM_STMT_BULK_EXECUTE"). Nothing may be bound.
  absl::Status ExecuteBulk(const RowValues& rows);

  [[nodiscard]] int64_t Int(int column) const override {
    const Column& own = columns_.at(column);
    if (own.null != 0) return 0;
    if (own.is_integer) return own.integer;
    const std::string_view bytes = Text(column);
    int64_t value = 0;
    std::from_chars(bytes.data(), bytes.data() + bytes.size(), value);
    return value;
  }
  [[nodiscard]] std::string_view Text(int column) const override {
    const Column& own = columns_.at(column);
    if (own.null != 0) return {};
    return {own.bytes.data(), own.length};
  }
  [[nodiscard]] bool IsNull(int column) const override { return columns_.at(column).null != 0; }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] uint64_t generation() const { return generation_; }

 private:
  struct Column {
    bool is_integer = false;
    int64_t integer = 0;
    std::string bytes;
    unsigned long length = 0;  // NOLINT(google-runtime-int): the library's type
    my_bool null = 0;
  };
  void ClearParameters() {
    for (size_t i = 0; i < parameters_.size(); ++i) BindNull(static_cast<int>(i));
  }
  void BindBytes(int index, std::string_view value, enum_field_types type) {
    MYSQL_BIND& bind = parameters_.at(index);
    bind = {};
    bind.buffer_type = type;
    // The library does not write to what it sends.
    bind.buffer = const_cast<char*>(value.data() != nullptr ? value.data() : "");
    bind.buffer_length = value.size();
  }
  absl::Status Execute();
  bool BindColumns();
  absl::StatusOr<bool> Fetch();

  MysqlConnection* const connection_;
  MYSQL_STMT* const statement_;
  const std::string key_;
  const uint64_t generation_;  // of the connection
  std::vector<int64_t> integers_;
  std::vector<MYSQL_BIND> parameters_;
  std::deque<Column> columns_;
  std::vector<MYSQL_BIND> results_;
  bool running_ = false;
};

class MysqlConnection : public Connection {
 public:
  explicit MysqlConnection(MysqlOptions options) : options_(std::move(options)) {}
  ~MysqlConnection() override { Drop(); }

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override {
    FAIRLEAD_RETURN_IF_ERROR(Usable(sql));
    if (auto kept = cache_.Take(sql)) return StatementPtr(kept.release(), GiveBack{this});
    MYSQL_STMT* statement = mysql_stmt_init(connection_);
    if (statement == nullptr) return absl::ResourceExhaustedError("MariaDB: out of memory");
    if (mysql_stmt_prepare(statement, sql.data(), sql.size()) != 0) {
      absl::Status status = ErrorOf(mysql_stmt_errno(statement), mysql_stmt_error(statement), sql);
      mysql_stmt_close(statement);
      return status;
    }
    return StatementPtr(new MysqlStatement(this, statement, std::string(sql), generation_),
                        GiveBack{this});
  }

  absl::Status Execute(std::string_view sql) override {
    FAIRLEAD_RETURN_IF_ERROR(Usable(sql));
    return Query(sql);
  }

  absl::Status RunMany(std::string_view sql, const RowValues& rows) override {
    FAIRLEAD_ASSIGN_OR_RETURN(const StatementPtr prepared, Prepare(sql));
    auto* statement = static_cast<MysqlStatement*>(prepared.get());
    FAIRLEAD_RETURN_IF_ERROR(Start(*statement));
    absl::Status done = statement->ExecuteBulk(rows);
    Ended();
    return done;
  }

  [[nodiscard]] int64_t Changes() const override { return changes_; }
  [[nodiscard]] absl::StatusOr<int64_t> LastInsertId() override { return last_insert_id_; }

  absl::Status Begin() override { return Open("START TRANSACTION"); }
  absl::Status BeginRead() override {
    return Open(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; "
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
  }
  absl::Status Commit() override {
    const absl::Status committed = Execute("COMMIT");
    if (!committed.ok()) Rollback();
    in_transaction_ = doomed_ = false;
    return committed;
  }
  void Rollback() override {
    doomed_ = false;
    if (!Execute("ROLLBACK").ok()) Drop();
    in_transaction_ = doomed_ = false;
  }
  [[nodiscard]] bool InTransaction() const override { return in_transaction_; }
  absl::Status SetDurability(Durability) override { return absl::OkStatus(); }
  [[nodiscard]] const Dialect& dialect() const override { return Dialect::Mysql(); }

  // For statements.
  absl::Status Start(const MysqlStatement& statement) {
    FAIRLEAD_RETURN_IF_ERROR(Usable(statement.key()));
    if (statement.generation() != generation_)
      return absl::UnavailableError("MariaDB: the connection was lost");
    active_ = statement.key();
    return absl::OkStatus();
  }
  void Ended() { active_.clear(); }
  void SetChanges(int64_t changes, int64_t last_insert_id) {
    changes_ = changes;
    if (last_insert_id != 0) last_insert_id_ = last_insert_id;
  }
  absl::Status ErrorOf(unsigned error, std::string_view message, std::string_view doing) {
    const absl::StatusCode code = CodeOf(error);
    const absl::Status status(
        code, base::StrCat("MariaDB: ", doing.substr(0, 60), ": ", message, " (", error, ")"));
    if (code == absl::StatusCode::kUnavailable) {
      // Some of these end the transaction, and what came next would be committed by itself.
      doomed_ = in_transaction_;
      const bool read_only = error == 1290 || error == 1792 || error == 1836;
      if (error >= 2000 || error == 1927 || error == 4031 || (read_only && !options_.read_only))
        Drop();
    }
    return status;
  }

  absl::Status Connect() {
    FAIRLEAD_RETURN_IF_ERROR(redial_.MayTry());
    Drop();
    connection_ = mysql_init(nullptr);
    if (connection_ == nullptr) return absl::ResourceExhaustedError("MariaDB: out of memory");
    const unsigned connect = options_.connect_timeout_s;
    const unsigned answer = options_.answer_timeout_s;
    mysql_options(connection_, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    mysql_options(connection_, MYSQL_OPT_READ_TIMEOUT, &answer);
    mysql_options(connection_, MYSQL_OPT_WRITE_TIMEOUT, &answer);
    mysql_options(connection_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (!options_.ca_file.empty()) {
      const my_bool verify = 1;
      mysql_ssl_set(connection_, nullptr, nullptr, options_.ca_file.c_str(), nullptr, nullptr);
      mysql_options(connection_, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    }
    absl::Status status;
    if (mysql_real_connect(connection_, options_.host.empty() ? nullptr : options_.host.c_str(),
                           options_.user.c_str(), options_.password.c_str(),
                           options_.database.c_str(), options_.port,
                           options_.socket.empty() ? nullptr : options_.socket.c_str(),
                           CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS) == nullptr) {
      status = ErrorOf(mysql_errno(connection_), mysql_error(connection_), "connect");
    } else {
      ++generation_;
      status = SetUp();
    }
    if (status.ok()) return status;
    Drop();
    return redial_.Failed(status);
  }

 protected:
  void Return(Statement* statement) override {
    std::unique_ptr<MysqlStatement> owned(static_cast<MysqlStatement*>(statement));
    owned->Reset();
    if (owned->generation() == generation_ && connection_ != nullptr) cache_.Keep(std::move(owned));
  }

 private:
  absl::Status SetUp() {
    return Query(base::StrCat(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'; "
        "SET SESSION default_storage_engine = InnoDB; "
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "
        "SET SESSION innodb_lock_wait_timeout = 5; SET SESSION max_statement_time = ",
        options_.statement_timeout_s,
        "; SET SESSION idle_transaction_timeout = ", options_.idle_in_transaction_timeout_s,
        options_.read_only ? "; SET SESSION TRANSACTION READ ONLY" : ""));
  }

  absl::Status Query(std::string_view sql) {
    if (mysql_real_query(connection_, sql.data(), sql.size()) != 0)
      return ErrorOf(mysql_errno(connection_), mysql_error(connection_), sql);
    for (;;) {
      if (MYSQL_RES* rows = mysql_store_result(connection_)) mysql_free_result(rows);
      const int more = mysql_next_result(connection_);
      if (more < 0) return absl::OkStatus();
      if (more > 0) return ErrorOf(mysql_errno(connection_), mysql_error(connection_), sql);
    }
  }

  absl::Status Open(std::string_view begin) {
    in_transaction_ = doomed_ = false;
    FAIRLEAD_RETURN_IF_ERROR(Execute(begin));
    in_transaction_ = true;
    return absl::OkStatus();
  }

  // There is a connection, and it may run something. A transaction does not outlive its own.
  absl::Status Usable(std::string_view next) {
    if (!active_.empty()) {
      return absl::InternalError(base::StrCat("two statements at once: ", active_, " and ", next));
    }
    if (doomed_) return absl::UnavailableError("MariaDB: the transaction has failed");
    // A server that went meanwhile fails nobody who comes when it is back.
    if (!in_transaction_ && connection_ != nullptr && HungUp(mysql_get_socket(connection_))) Drop();
    if (connection_ != nullptr) return absl::OkStatus();
    if (in_transaction_)
      return absl::UnavailableError("MariaDB: the connection was lost in the transaction");
    return Connect();
  }

  void Drop() {
    cache_.Clear();
    if (connection_ != nullptr) mysql_close(std::exchange(connection_, nullptr));
  }

  const MysqlOptions options_;
  MYSQL* connection_ = nullptr;
  uint64_t generation_ = 0;
  std::string active_;  // the statement that runs
  StatementCache<MysqlStatement> cache_;
  int64_t changes_ = 0;
  int64_t last_insert_id_ = 0;
  bool in_transaction_ = false;
  bool doomed_ = false;  // nothing but the end of the transaction is left
  Redial redial_;
};

absl::Status MysqlStatement::Execute() {
  if (!parameters_.empty() && mysql_stmt_bind_param(statement_, parameters_.data()) != 0)
    return absl::InternalError(base::StrCat("MariaDB: bind ", key_));
  if (mysql_stmt_execute(statement_) != 0)
    return connection_->ErrorOf(mysql_stmt_errno(statement_), mysql_stmt_error(statement_), key_);
  if (mysql_stmt_field_count(statement_) == 0) {
    connection_->SetChanges(static_cast<int64_t>(mysql_stmt_affected_rows(statement_)),
                            static_cast<int64_t>(mysql_stmt_insert_id(statement_)));
    return absl::OkStatus();
  }
  if (columns_.empty() && !BindColumns())
    return absl::InternalError(base::StrCat("MariaDB: no metadata of ", key_));
  return absl::OkStatus();
}

absl::Status MysqlStatement::ExecuteBulk(const RowValues& rows) {
  const size_t count = rows.rows();
  struct Bulk {
    std::vector<int64_t> integers;
    std::vector<const char*> bytes;
    std::vector<unsigned long> lengths;  // NOLINT(google-runtime-int): the library's type
  };
  std::vector<Bulk> bulks(rows.columns());
  for (size_t i = 0; i < count; ++i) {
    for (size_t column = 0; column < rows.columns(); ++column) {
      const RowValues::Value& value = rows.row(i)[column];
      bulks[column].integers.push_back(value.integer);
      bulks[column].bytes.push_back(value.bytes.data() != nullptr ? value.bytes.data() : "");
      bulks[column].lengths.push_back(value.bytes.size());
    }
  }
  std::vector<MYSQL_BIND> binds(rows.columns());
  for (size_t column = 0; column < rows.columns(); ++column) {
    const RowValues::Value::Type type = rows.row(0)[column].type;
    Bulk& bulk = bulks[column];
    if (type == RowValues::Value::Type::kInteger) {
      binds[column].buffer_type = MYSQL_TYPE_LONGLONG;
      binds[column].buffer = bulk.integers.data();
    } else {
      binds[column].buffer_type =
          type == RowValues::Value::Type::kText ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
      binds[column].buffer = bulk.bytes.data();
      binds[column].length = bulk.lengths.data();
    }
  }
  const auto size = static_cast<unsigned>(count);
  mysql_stmt_attr_set(statement_, STMT_ATTR_ARRAY_SIZE, &size);
  absl::Status done;
  if (mysql_stmt_bind_param(statement_, binds.data()) != 0) {
    done = absl::InternalError(base::StrCat("MariaDB: bind ", key_));
  } else if (mysql_stmt_execute(statement_) != 0) {
    done = connection_->ErrorOf(mysql_stmt_errno(statement_), mysql_stmt_error(statement_), key_);
  }
  const unsigned one = 0;
  mysql_stmt_attr_set(statement_, STMT_ATTR_ARRAY_SIZE, &one);
  return done;
}

bool MysqlStatement::BindColumns() {
  MYSQL_RES* metadata = mysql_stmt_result_metadata(statement_);
  if (metadata == nullptr) return false;
  const unsigned count = mysql_num_fields(metadata);
  const MYSQL_FIELD* fields = mysql_fetch_fields(metadata);
  results_.assign(count, MYSQL_BIND{});
  for (unsigned i = 0; i < count; ++i) {
    Column& own = columns_.emplace_back();
    own.is_integer = IsInteger(fields[i].type);
    MYSQL_BIND& bind = results_[i];
    bind.is_null = &own.null;
    bind.length = &own.length;
    bind.buffer_type = own.is_integer ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_BLOB;
    if (own.is_integer) {
      bind.buffer = &own.integer;
    } else {
      own.bytes.resize(256);
      bind.buffer = own.bytes.data();
      bind.buffer_length = own.bytes.size();
    }
  }
  mysql_free_result(metadata);
  return true;
}

// A value that is longer than its buffer is fetched again into a longer one, which stays.
absl::StatusOr<bool> MysqlStatement::Fetch() {
  if (mysql_stmt_bind_result(statement_, results_.data()) != 0)
    return absl::InternalError(base::StrCat("MariaDB: bind the result of ", key_));
  const int fetched = mysql_stmt_fetch(statement_);
  if (fetched == MYSQL_NO_DATA) return false;
  if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED)
    return connection_->ErrorOf(mysql_stmt_errno(statement_), mysql_stmt_error(statement_), key_);
  for (size_t i = 0; i < columns_.size(); ++i) {
    Column& own = columns_[i];
    if (own.is_integer || own.null != 0 || own.length <= own.bytes.size()) continue;
    own.bytes.resize(own.length);
    results_[i].buffer = own.bytes.data();
    results_[i].buffer_length = own.bytes.size();
    if (mysql_stmt_fetch_column(statement_, &results_[i], static_cast<unsigned>(i), 0) != 0)
      return absl::InternalError(base::StrCat("MariaDB: fetch a column of ", key_));
  }
  return true;
}

absl::StatusOr<bool> MysqlStatement::Step() {
  if (!running_) {
    FAIRLEAD_RETURN_IF_ERROR(connection_->Start(*this));
    running_ = true;
    const absl::Status executed = Execute();
    if (!executed.ok() || mysql_stmt_field_count(statement_) == 0) {
      running_ = false;
      connection_->Ended();
      if (!executed.ok()) return executed;
      return false;
    }
  }
  absl::StatusOr<bool> row = Fetch();
  if (!row.ok() || !*row) {
    mysql_stmt_free_result(statement_);
    running_ = false;
    connection_->Ended();
  }
  return row;
}

void MysqlStatement::Reset() {
  if (std::exchange(running_, false)) {
    mysql_stmt_free_result(statement_);
    connection_->Ended();
  }
  ClearParameters();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> OpenMysql(const MysqlOptions& options) {
  auto connection = std::make_unique<MysqlConnection>(options);
  FAIRLEAD_RETURN_IF_ERROR(connection->Connect());
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace fairlead::sql
