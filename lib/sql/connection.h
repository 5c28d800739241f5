#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/sql/dialect.h"

// SQL without a driver's header: SQLite, PostgreSQL and MariaDB stand behind it (database.h opens
// them); a Dialect says what differs in text. Parameters are question marks everywhere.
//
// Errors, typed the same for every database:
//   ResourceExhausted   disk or quota full; nothing of the statement happened, try again later
//   Unavailable         busy, locked, I/O error, connection lost; try again
//   DataLoss            the database's files are damaged or are none
//   AlreadyExists       a constraint refused the row
//   OutOfRange          a value or row is too large
//   FailedPrecondition  read-only, cannot be opened, wrong use
//   Internal            anything else; a defect of ours
namespace fairlead::sql {

// Bound and column bytes; a text otherwise.
struct Blob {
  std::string_view bytes;
};

// A compiled statement. Columns and parameters count from 0. Rows come one by one as they are read
// from the database; with a server behind it, a connection runs one statement at a time: the next
// begins when the one before has given its last row, failed, or was given back.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual void BindInt(int index, int64_t value) = 0;
  // The bytes must live until the next Step() that returns false, Reset() or the statement's end.
  virtual void BindText(int index, std::string_view value) = 0;
  virtual void BindBlob(int index, std::string_view value) = 0;
  virtual void BindNull(int index) = 0;
  // True: a row is there. False: done.
  virtual absl::StatusOr<bool> Step() = 0;
  // Back to before the first Step(); the parameters are cleared.
  virtual void Reset() = 0;

  [[nodiscard]] virtual int64_t Int(int column) const = 0;
  // NULL reads as "". The view ends with the next Step() or Reset().
  [[nodiscard]] virtual std::string_view Text(int column) const = 0;
  [[nodiscard]] virtual bool IsNull(int column) const = 0;

  // 16 bytes; zero when the column holds anything else.
  [[nodiscard]] base::U128 Number128(int column) const {
    base::U128 value;
    if (!base::FromBytes(Text(column), &value)) return {};
    return value;
  }
};

// Parameters of one statement for many rows, in order: integers, text and Blob, of each parameter
// the same in every row. Text and bytes must outlive what is done with it.
class RowValues {
 public:
  struct Value {
    enum class Type { kInteger, kText, kBytes };
    Type type = Type::kInteger;
    int64_t integer = 0;
    std::string_view bytes;
  };
  explicit RowValues(size_t columns) : columns_(columns) {}
  // One row, of as many values as there are columns.
  template <typename... Values>
  void Add(const Values&... values) {
    (values_.push_back(ValueOf(values)), ...);
  }
  [[nodiscard]] size_t columns() const { return columns_; }
  [[nodiscard]] size_t rows() const { return values_.size() / columns_; }
  [[nodiscard]] std::span<const Value> row(size_t index) const {
    return std::span(values_).subspan(index * columns_, columns_);
  }

 private:
  template <typename T>
  static Value ValueOf(const T& value) {
    if constexpr (std::is_same_v<T, Blob>) {
      return {Value::Type::kBytes, 0, value.bytes};
    } else if constexpr (std::is_integral_v<T>) {
      return {Value::Type::kInteger, static_cast<int64_t>(value), {}};
    } else {
      return {Value::Type::kText, 0, value};
    }
  }
  size_t columns_;
  std::vector<Value> values_;
};

void BindRow(Statement& statement, std::span<const RowValues::Value> row);

// One row's values of a PairLookup's two columns.
using TextPair = std::pair<std::string_view, std::string_view>;

// How much a commit waits for: kFull survives power loss; kNormal survives the process's death and
// can lose the last commits (never their order or integrity) with the machine's.
enum class Durability { kFull, kNormal };

// A server's connection that was lost makes itself again at the next Begin() or, outside a
// transaction, at the next statement; never inside one.
//
// Threads: one at a time. Destroying it rolls back what is open. Blocks on the database, for as
// long as the options of each engine say.
class Connection {
 public:
  virtual ~Connection() = default;

  // A statement from the cache, compiled at first use, given back when the pointer ends (and reset
  // then, so that no read stays open). The same text may be in use more than once.
  struct GiveBack {
    Connection* connection = nullptr;
    void operator()(Statement* statement) const { connection->Return(statement); }
  };
  using StatementPtr = std::unique_ptr<Statement, GiveBack>;
  [[nodiscard]] virtual absl::StatusOr<StatementPtr> Prepare(std::string_view sql) = 0;
  // One or more statements without parameters or rows.
  virtual absl::Status Execute(std::string_view sql) = 0;
  // Runs a statement that gives no rows once for each of `rows`, in order and in as few round trips
  // as the database allows: PostgreSQL in a pipeline, MariaDB as one bulk execution, SQLite row by
  // row. After an error the rows before it may have been written: for transactions only. At most
  // kMostRows and some MiB at a time.
  virtual absl::Status RunMany(std::string_view sql, const RowValues& rows);
  static constexpr size_t kMostRows = 500;
  // The rows that `what` looks up, ready to Step(); in any order, one that is asked for twice
  // perhaps twice. At least one pair, at most kMostRows, which must outlive the statement.
  [[nodiscard]] virtual absl::StatusOr<StatementPtr> SelectPairs(const PairLookup& what,
                                                                 std::span<const TextPair> pairs,
                                                                 int64_t number);
  // Rows changed by the last finished INSERT, UPDATE or DELETE.
  [[nodiscard]] virtual int64_t Changes() const = 0;
  // The number that the last INSERT made for ${id}.
  [[nodiscard]] virtual absl::StatusOr<int64_t> LastInsertId() = 0;

  // READ COMMITTED. SQLite takes the write lock at once, so that no statement of the transaction
  // fails for want of it.
  virtual absl::Status Begin() = 0;
  // For reading only: every statement sees the same state.
  virtual absl::Status BeginRead() = 0;
  // After an error it may have happened all the same (connection lost): InTransaction() is false
  // then.
  virtual absl::Status Commit() = 0;
  // Never fails in effect: afterwards no transaction is open.
  virtual void Rollback() = 0;
  // With SQLite false also after an error made it roll back by itself. With a server true until
  // Commit() or Rollback(): after such an error every statement is Unavailable until then.
  [[nodiscard]] virtual bool InTransaction() const = 0;
  // For the transactions that begin from now on; not inside one.
  virtual absl::Status SetDurability(Durability durability) = 0;
  [[nodiscard]] virtual const Dialect& dialect() const = 0;

  absl::Status Savepoint(std::string_view name) {
    return Execute(base::StrCat("SAVEPOINT ", name));
  }
  absl::Status ReleaseSavepoint(std::string_view name) {
    return Execute(base::StrCat("RELEASE SAVEPOINT ", name));
  }
  absl::Status RollbackToSavepoint(std::string_view name) {
    return Execute(base::StrCat("ROLLBACK TO SAVEPOINT ", name, "; RELEASE SAVEPOINT ", name));
  }

 protected:
  virtual void Return(Statement* statement) = 0;
};

namespace internal {
template <typename T>
void BindOne(Statement& statement, int index, const T& value) {
  if constexpr (std::is_same_v<T, Blob>) {
    statement.BindBlob(index, value.bytes);
  } else if constexpr (std::is_integral_v<T>) {
    statement.BindInt(index, static_cast<int64_t>(value));
  } else {
    statement.BindText(index, value);
  }
}
}  // namespace internal

// Binds integers, text and Blob in order. Text and bytes must outlive the last Step().
template <typename... Values>
void Bind(Statement& statement, const Values&... values) {
  int index = 0;
  (internal::BindOne(statement, index++, values), ...);
}

// Runs a statement that gives no rows; how many rows it changed.
template <typename... Values>
absl::StatusOr<int64_t> Run(Connection& connection, std::string_view sql, const Values&... values) {
  auto statement = connection.Prepare(sql);
  if (!statement.ok()) return statement.status();
  Bind(**statement, values...);
  auto done = (*statement)->Step();
  if (!done.ok()) return done.status();
  return connection.Changes();
}

// Rolls back when it ends without Commit().
class Transaction {
 public:
  explicit Transaction(Connection* connection) : connection_(connection) {}
  ~Transaction() {
    if (connection_->InTransaction()) connection_->Rollback();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  absl::Status Begin() { return connection_->Begin(); }
  absl::Status Commit() { return connection_->Commit(); }

 private:
  Connection* connection_;
};

}  // namespace fairlead::sql
