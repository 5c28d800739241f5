#include "lib/sql/postgres.h"

#include <libpq-fe.h>
#include <poll.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/sql/postgres_text.h"
#include "lib/sql/redial.h"
#include "lib/sql/statement_cache.h"

namespace fairlead::sql {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Object ids of result columns (pg_type.dat); what is not an integer is bytes to us.
constexpr Oid kInt8 = 20, kInt2 = 21, kInt4 = 23;

struct FreeResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

// A statement's name at the server. Numbers of one Connection never come twice.
std::string NameOf(uint64_t number) { return base::StrCat("s", number); }

class PostgresConnection;

class PostgresStatement : public Statement {
 public:
  // `once`: what is sent with every execution instead of the name of a prepared statement; "" = it
  // is prepared.
  PostgresStatement(PostgresConnection* connection, std::string key, uint64_t number,
                    int parameters, std::string once = {})
      : connection_(connection), key_(std::move(key)), number_(number), once_(std::move(once)) {
    values_.resize(parameters);
  }

  void BindInt(int index, int64_t value) override {
    Value& own = values_.at(index);
    own = {.digits = std::to_string(value)};
  }
  void BindText(int index, std::string_view value) override { BindBlob(index, value); }
  void BindBlob(int index, std::string_view value) override {
    values_.at(index) = {.bytes = value, .binary = true};
  }
  void BindNull(int index) override { values_.at(index) = {.null = true}; }
  // The statement keeps the bytes.
  void BindOwned(int index, std::string bytes) {
    values_.at(index) = {.digits = std::move(bytes), .owned = true, .binary = true};
  }
  absl::StatusOr<bool> Step() override;
  void Reset() override;

  [[nodiscard]] int64_t Int(int column) const override {
    const std::string_view bytes = Text(column);
    const Oid type = PQftype(row_.get(), column);
    if (type != kInt8 && type != kInt4 && type != kInt2) {
      int64_t value = 0;
      std::from_chars(bytes.data(), bytes.data() + bytes.size(), value);
      return value;
    }
    uint64_t value = !bytes.empty() && (bytes[0] & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<int64_t>(value);
  }
  [[nodiscard]] std::string_view Text(int column) const override {
    if (row_ == nullptr) return {};
    return {PQgetvalue(row_.get(), 0, column),
            static_cast<size_t>(PQgetlength(row_.get(), 0, column))};
  }
  [[nodiscard]] bool IsNull(int column) const override {
    return PQgetisnull(row_.get(), 0, column) != 0;
  }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] uint64_t number() const { return number_; }
  [[nodiscard]] bool prepared() const { return once_.empty(); }
  // With what is bound, to the server; what comes back is for the caller.
  bool Send(PGconn* connection);

 private:
  struct Value {
    std::string digits;
    std::string_view bytes;
    bool owned = false;  // in `digits`
    bool binary = false;
    bool null = false;
  };

  PostgresConnection* const connection_;
  const std::string key_;
  const uint64_t number_;
  const std::string once_;
  std::vector<Value> values_;
  Result row_;
  bool running_ = false;
};

class PostgresConnection : public Connection {
 public:
  explicit PostgresConnection(PostgresOptions options) : options_(std::move(options)) {}
  ~PostgresConnection() override { Drop(); }

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override {
    FAIRLEAD_RETURN_IF_ERROR(Usable());
    if (auto kept = cache_.Take(sql)) return StatementPtr(kept.release(), GiveBack{this});
    int parameters = 0;
    const std::string text = Numbered(sql, &parameters);
    const uint64_t number = ++statements_;
    FAIRLEAD_RETURN_IF_ERROR(Idle(sql));
    if (PQsendPrepare(connection_, NameOf(number).c_str(), text.c_str(), 0, nullptr) == 0)
      return Lost(sql);
    FAIRLEAD_RETURN_IF_ERROR(Finish(sql));
    return StatementPtr(new PostgresStatement(this, std::string(sql), number, parameters),
                        GiveBack{this});
  }

  absl::Status Execute(std::string_view sql) override {
    FAIRLEAD_RETURN_IF_ERROR(Usable());
    FAIRLEAD_RETURN_IF_ERROR(Idle(sql));
    if (PQsendQuery(connection_, std::string(sql).c_str()) == 0) return Lost(sql);
    return Finish(sql);
  }

  // Not prepared: a plan that is kept is one of the first executions. It is of the table as it was
  // then, perhaps empty, and reads all rows with the number for each pair when that has grown.
  absl::StatusOr<StatementPtr> SelectPairs(const PairLookup& what, std::span<const TextPair> pairs,
                                           int64_t number) override {
    FAIRLEAD_RETURN_IF_ERROR(Usable());
    std::string key = dialect().SelectPairs(what, pairs.size());
    int parameters = 0;
    std::string text = Numbered(key, &parameters);
    auto* statement =
        new PostgresStatement(this, std::move(key), ++statements_, parameters, std::move(text));
    StatementPtr out(statement, GiveBack{this});
    statement->BindOwned(0, TextArray(pairs, &TextPair::first));
    statement->BindOwned(1, TextArray(pairs, &TextPair::second));
    statement->BindInt(2, number);
    return out;
  }

  absl::Status RunMany(std::string_view sql, const RowValues& rows) override {
    FAIRLEAD_ASSIGN_OR_RETURN(const StatementPtr prepared, Prepare(sql));
    auto* statement = static_cast<PostgresStatement*>(prepared.get());
    FAIRLEAD_RETURN_IF_ERROR(Start(statement));
    absl::Status done = Pipeline(statement, rows);
    if (connection_ != nullptr && PQexitPipelineMode(connection_) == 0) {
      Drop();
      Ended();
      return done.ok() ? absl::UnavailableError("PostgreSQL: a pipeline did not end") : done;
    }
    Ended();
    return done;
  }

  [[nodiscard]] int64_t Changes() const override { return changes_; }
  [[nodiscard]] absl::StatusOr<int64_t> LastInsertId() override {
    FAIRLEAD_ASSIGN_OR_RETURN(const auto query, Prepare("SELECT lastval()"));
    FAIRLEAD_RETURN_IF_ERROR(query->Step().status());
    return query->Int(0);
  }

  absl::Status Begin() override { return Open("BEGIN"); }
  absl::Status BeginRead() override { return Open("BEGIN ISOLATION LEVEL REPEATABLE READ"); }
  absl::Status Commit() override {
    absl::Status committed = Execute("COMMIT");
    // A transaction in which a statement failed is answered "ROLLBACK", which is no error to libpq.
    if (committed.ok() && last_command_ != "COMMIT")
      committed = absl::UnavailableError("PostgreSQL: COMMIT: the transaction was rolled back");
    if (!committed.ok()) Rollback();
    in_transaction_ = false;
    return committed;
  }
  void Rollback() override {
    if (!Execute("ROLLBACK").ok()) Drop();
    in_transaction_ = false;
  }
  [[nodiscard]] bool InTransaction() const override { return in_transaction_; }

  absl::Status SetDurability(Durability durability) override {
    wanted_durability_ = durability;
    if (in_transaction_)
      return absl::FailedPreconditionError("PostgreSQL: durability in a transaction");
    FAIRLEAD_RETURN_IF_ERROR(Usable());
    if (durability_ == wanted_durability_) return absl::OkStatus();
    FAIRLEAD_RETURN_IF_ERROR(Execute(durability == Durability::kFull
                                         ? "SET synchronous_commit TO on"
                                         : "SET synchronous_commit TO local"));
    durability_ = durability;
    return absl::OkStatus();
  }
  [[nodiscard]] const Dialect& dialect() const override { return Dialect::Postgres(); }

  // For statements.
  absl::Status Start(PostgresStatement* statement) {
    FAIRLEAD_RETURN_IF_ERROR(Usable());
    if (statement->number() <= gone_) return Gone(statement->key()).status();
    FAIRLEAD_RETURN_IF_ERROR(Idle(statement->key()));
    active_ = statement;
    return absl::OkStatus();
  }
  void Ended() { active_ = nullptr; }
  [[nodiscard]] PGconn* raw() { return connection_; }
  // The next result; null when there is no more. Gives the connection up when the server is silent.
  absl::StatusOr<Result> Next(std::string_view doing) {
    const SteadyTime until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.answer_timeout_ms);
    if (connection_ == nullptr) return Gone(doing);
    while (PQisBusy(connection_) != 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      pollfd socket{PQsocket(connection_), POLLIN, 0};
      if (left.count() <= 0 || poll(&socket, 1, static_cast<int>(left.count())) == 0) {
        Drop();
        return absl::UnavailableError(
            base::StrCat("PostgreSQL: ", doing.substr(0, 60), ": no answer from the server"));
      }
      if (PQconsumeInput(connection_) == 0) return Lost(doing);
    }
    Result result(PQgetResult(connection_));
    if (result != nullptr) {
      const char* rows = PQcmdTuples(result.get());
      changes_ = 0;
      std::from_chars(rows, rows + strlen(rows), changes_);
      last_command_ = PQcmdStatus(result.get());
    }
    return result;
  }
  // What went wrong, by the server's own word.
  absl::Status ErrorOf(const PGresult* result, std::string_view doing) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view code = state != nullptr ? state : "";
    const absl::Status status(PostgresCodeOf(code),
                              base::StrCat("PostgreSQL: ", doing.substr(0, 60), ": ",
                                           Trimmed(PQresultErrorMessage(result)), " (", code, ")"));
    if (code == "25006" && !options_.read_only) Drop();
    return status;
  }
  absl::Status Lost(std::string_view doing) {
    const absl::Status status = absl::UnavailableError(base::StrCat(
        "PostgreSQL: ", doing.substr(0, 60), ": ",
        Trimmed(connection_ != nullptr ? PQerrorMessage(connection_) : "no connection")));
    if (connection_ == nullptr || PQstatus(connection_) != CONNECTION_OK) Drop();
    return status;
  }

  absl::Status Connect() {
    FAIRLEAD_RETURN_IF_ERROR(redial_.MayTry());
    Drop();
    const std::string seconds = std::to_string(options_.connect_timeout_s);
    const char* keys[] = {"dbname",
                          "connect_timeout",
                          "client_encoding",
                          "application_name",
                          "tcp_user_timeout",
                          "keepalives_idle",
                          "keepalives_interval",
                          "keepalives_count",
                          "password",
                          nullptr};
    const char* values[] = {options_.url.c_str(),
                            seconds.c_str(),
                            "UTF8",
                            "fairlead-endpoint",
                            "10000",
                            "10",
                            "3",
                            "3",
                            options_.password.empty() ? nullptr : options_.password.c_str(),
                            nullptr};
    connection_ = PQconnectdbParams(keys, values, /*expand_dbname=*/1);
    absl::Status status;
    if (PQstatus(connection_) != CONNECTION_OK) {
      status = absl::UnavailableError(
          base::StrCat("PostgreSQL: connect: ", Trimmed(PQerrorMessage(connection_))));
    } else {
      PQsetNoticeProcessor(
          connection_, [](void*, const char*) {}, nullptr);
      status = SetUp();
    }
    if (status.ok()) return status;
    Drop();
    return redial_.Failed(status);
  }

 protected:
  void Return(Statement* statement) override {
    std::unique_ptr<PostgresStatement> owned(static_cast<PostgresStatement*>(statement));
    owned->Reset();
    if (owned->number() <= gone_ || !owned->prepared()) return;
    const auto left = cache_.Keep(std::move(owned));
    if (left != nullptr) Execute(base::StrCat("DEALLOCATE ", NameOf(left->number()))).IgnoreError();
  }

 private:
  // No plan may read a whole table where there is an index: plans are kept, and those made of a
  // table that was still small would be used until the server's statistics notice that it has
  // grown.
  absl::Status SetUp() {
    const std::string settings = base::StrCat(
        "SET statement_timeout TO ", options_.statement_timeout_ms,
        "; SET lock_timeout TO 5000; SET idle_in_transaction_session_timeout TO ",
        options_.idle_in_transaction_timeout_ms,
        "; SET default_transaction_isolation TO 'read committed'; SET enable_seqscan TO off"
        "; SET synchronous_commit TO ",
        wanted_durability_ == Durability::kFull ? "on" : "local",
        options_.read_only ? "; SET default_transaction_read_only TO on" : "");
    durability_ = wanted_durability_;
    if (PQsendQuery(connection_, settings.c_str()) == 0) return Lost("set up");
    return Finish("set up");
  }

  // All rows, then all answers: a few bytes each, which fit what the system keeps for a socket; the
  // library reads meanwhile if not. The first error is the answer; the server skips what is behind.
  absl::Status Pipeline(PostgresStatement* statement, const RowValues& rows) {
    const std::string& sql = statement->key();
    if (PQenterPipelineMode(connection_) == 0) return Lost(sql);
    for (size_t i = 0; i < rows.rows(); ++i) {
      BindRow(*statement, rows.row(i));
      if (!statement->Send(connection_)) return Lost(sql);
    }
    if (PQpipelineSync(connection_) == 0) return Lost(sql);
    absl::Status status;
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const Result result, Next(sql));
      if (result == nullptr) {  // the end of one row's answer
        if (PQstatus(connection_) == CONNECTION_OK) continue;
        return status.ok() ? Lost(sql) : status;
      }
      const ExecStatusType kind = PQresultStatus(result.get());
      if (kind == PGRES_PIPELINE_SYNC) return status;
      if (kind == PGRES_COMMAND_OK || kind == PGRES_PIPELINE_ABORTED || !status.ok()) continue;
      status = ErrorOf(result.get(), sql);
      if (connection_ == nullptr) return status;
    }
  }

  absl::Status Open(const char* begin) {
    in_transaction_ = false;
    FAIRLEAD_RETURN_IF_ERROR(Execute(begin));
    in_transaction_ = true;
    return absl::OkStatus();
  }

  // There is a connection. A transaction does not outlive its own.
  absl::Status Usable() {
    // A server that went meanwhile fails nobody who comes when it is back.
    if (!in_transaction_ && active_ == nullptr && connection_ != nullptr &&
        HungUp(PQsocket(connection_)))
      Drop();
    if (connection_ != nullptr && PQstatus(connection_) == CONNECTION_OK) return absl::OkStatus();
    if (in_transaction_)
      return absl::UnavailableError("PostgreSQL: the connection was lost in the transaction");
    return Connect();
  }

  absl::Status Idle(std::string_view next) const {
    if (active_ == nullptr) return absl::OkStatus();
    return absl::InternalError(
        base::StrCat("two statements at once: ", active_->key(), " and ", next));
  }

  absl::StatusOr<Result> Gone(std::string_view doing) {
    return absl::UnavailableError(
        base::StrCat("PostgreSQL: ", doing.substr(0, 60), ": the connection was lost"));
  }

  // Reads every result; the first error.
  absl::Status Finish(std::string_view doing) {
    absl::Status status;
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const Result result, Next(doing));
      if (result == nullptr) return status;
      const ExecStatusType kind = PQresultStatus(result.get());
      if (kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK && status.ok())
        status = ErrorOf(result.get(), doing);
    }
  }

  void Drop() {
    if (connection_ == nullptr) return;
    cache_.Clear();
    gone_ = statements_;
    PQfinish(std::exchange(connection_, nullptr));
  }

  const PostgresOptions options_;
  PGconn* connection_ = nullptr;
  PostgresStatement* active_ = nullptr;
  StatementCache<PostgresStatement> cache_;
  uint64_t statements_ = 0;
  uint64_t gone_ = 0;  // statements up to this number were those of connections that are gone
  int64_t changes_ = 0;
  std::string last_command_;
  bool in_transaction_ = false;
  Durability durability_ = Durability::kFull;
  Durability wanted_durability_ = Durability::kFull;
  Redial redial_;
};

bool PostgresStatement::Send(PGconn* connection) {
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const Value& one : values_) {
    const std::string_view bytes = one.owned ? std::string_view(one.digits) : one.bytes;
    const char* data = bytes.data() != nullptr ? bytes.data() : "";
    values.push_back(one.null ? nullptr : one.binary ? data : one.digits.c_str());
    lengths.push_back(static_cast<int>(bytes.size()));
    formats.push_back(one.binary ? 1 : 0);
  }
  const auto count = static_cast<int>(values.size());
  constexpr int kBinary = 1;
  if (!prepared()) {
    return PQsendQueryParams(connection, once_.c_str(), count, nullptr, values.data(),
                             lengths.data(), formats.data(), kBinary) != 0;
  }
  return PQsendQueryPrepared(connection, NameOf(number_).c_str(), count, values.data(),
                             lengths.data(), formats.data(), kBinary) != 0;
}

absl::StatusOr<bool> PostgresStatement::Step() {
  if (!running_) {
    FAIRLEAD_RETURN_IF_ERROR(connection_->Start(this));
    running_ = true;
    if (!Send(connection_->raw()) || PQsetSingleRowMode(connection_->raw()) == 0) {
      absl::Status lost = connection_->Lost(key_);
      Reset();
      return lost;
    }
  }
  row_.reset();
  absl::Status status;
  for (;;) {
    auto next = connection_->Next(key_);
    if (!next.ok()) status = next.status();
    if (!next.ok() || *next == nullptr) break;
    const ExecStatusType kind = PQresultStatus(next->get());
    if (kind == PGRES_SINGLE_TUPLE) {
      row_ = *std::move(next);
      return true;
    }
    if (kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK && status.ok()) {
      status = connection_->ErrorOf(next->get(), key_);
      if (connection_->raw() == nullptr) break;
    }
  }
  running_ = false;
  connection_->Ended();
  if (!status.ok()) return status;
  return false;
}

void PostgresStatement::Reset() {
  row_.reset();
  if (std::exchange(running_, false)) {
    for (;;) {
      const auto next = connection_->Next(key_);
      if (!next.ok() || *next == nullptr) break;
    }
    connection_->Ended();
  }
  std::fill(values_.begin(), values_.end(), Value{});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> OpenPostgres(const PostgresOptions& options) {
  char* problem = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options.url.c_str(), &problem);
  if (parsed == nullptr) {
    const absl::Status status = absl::FailedPreconditionError(
        base::StrCat("database url: ", Trimmed(problem != nullptr ? problem : "out of memory")));
    PQfreemem(problem);
    return status;
  }
  bool has_password = false;
  for (const PQconninfoOption* one = parsed; one->keyword != nullptr; ++one) {
    has_password |= std::string_view(one->keyword) == "password" && one->val != nullptr;
  }
  PQconninfoFree(parsed);
  if (has_password) {
    return absl::FailedPreconditionError(
        "database url: a password does not belong into it (passwordFile)");
  }
  auto connection = std::make_unique<PostgresConnection>(options);
  FAIRLEAD_RETURN_IF_ERROR(connection->Connect());
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace fairlead::sql
