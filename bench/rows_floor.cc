#include "bench/rows_floor.h"

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "endpoint/store/body.h"
#include "endpoint/store/store.h"
#include "endpoint/store/writer.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace fairlead::bench {
namespace {

namespace store = endpoint::store;
using base::StrCat;

constexpr char kUnique[] = "kind, namespace, name";
constexpr char kInserted[] = "object_key";
constexpr char kUpdated[] =
    "uid, history, resource_version, content_hash, application, seq, held, changed_ms, body";

// One row of `objects` but for its number; kind, history and what is always the same are left out.
struct Row {
  std::string name_space, name, key, uid, version, hash, application, body;
};

std::vector<Row> RowsOf(const RowsWorkload& workload, Phase phase, uint64_t first) {
  std::vector<Row> rows;
  for (const store::Entry& entry : MakeBatch(workload, phase, first, 1).entries) {
    const auto& change = std::get<store::Change>(entry);
    rows.push_back({change.name_space, change.name,
                    base::ToBytes(base::ObjectKey("", "pods", change.name_space, change.name)),
                    change.uid, change.resource_version, base::ToBytes(change.content_hash),
                    change.application, change.body});
  }
  return rows;
}

std::string Compressed(const std::string& body) {
  return store::Compress(body, store::WriterOptions{}.compression_level);
}

absl::Status MakeSchema(const RowsDatabase& database) {
  const base::ManualClock clock;
  return store::Store::Open(database.options, &clock).status();
}

// One phase of a floor: `write` takes the rows of one batch.
using Write = std::function<absl::Status(const std::vector<Row>& rows)>;
absl::StatusOr<RowsCost> RunPhase(const RowsDatabase& database, const RowsWorkload& workload,
                                  Phase phase, const Write& write) {
  RowsMeter meter(&database);
  FAIRLEAD_RETURN_IF_ERROR(meter.Begin());
  for (uint64_t first = 0; first < workload.objects; first += workload.batch_rows) {
    const std::vector<Row> rows = RowsOf(workload, phase, first);
    FAIRLEAD_RETURN_IF_ERROR(meter.Call([&] { return write(rows); }));
  }
  return meter.End(workload.objects);
}

absl::StatusOr<FloorCost> RunBoth(const RowsDatabase& database, const RowsWorkload& workload,
                                  const Write& write) {
  FloorCost cost;
  FAIRLEAD_ASSIGN_OR_RETURN(cost.insert, RunPhase(database, workload, Phase::kInsert, write));
  FAIRLEAD_ASSIGN_OR_RETURN(cost.update, RunPhase(database, workload, Phase::kUpdate, write));
  return cost;
}

// ------------------------------------------------------------------------------------------
// PostgreSQL: COPY and merge

// The binary format of COPY (documentation, "COPY", section "Binary Format").
class CopyBuffer {
 public:
  CopyBuffer() { out_.append("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19); }
  void BeginRow(int columns) { Number(static_cast<uint64_t>(columns), 2); }
  void Bytes(std::string_view bytes) {
    Number(bytes.size(), 4);
    out_ += bytes;
  }
  void Integer(int64_t value) {
    Number(8, 4);
    Number(static_cast<uint64_t>(value), 8);
  }
  std::string End() && {
    Number(0xffff, 2);
    return std::move(out_);
  }

 private:
  void Number(uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
      out_ += static_cast<char>(value >> shift & 0xff);
  }
  std::string out_;
};

class Postgres {
 public:
  explicit Postgres(const std::string& url) : connection_(PQconnectdb(url.c_str())) {}
  ~Postgres() { PQfinish(connection_); }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  absl::Status Run(const std::string& sql) {
    return Check(PQexec(connection_, sql.c_str()), PGRES_COMMAND_OK);
  }
  absl::Status Copy(const std::string& into, const std::string& rows) {
    FAIRLEAD_RETURN_IF_ERROR(
        Check(PQexec(connection_, StrCat("COPY ", into, " FROM STDIN (FORMAT binary)").c_str()),
              PGRES_COPY_IN));
    PQputCopyData(connection_, rows.data(), static_cast<int>(rows.size()));
    PQputCopyEnd(connection_, nullptr);
    const absl::Status copied = Check(PQgetResult(connection_), PGRES_COMMAND_OK);
    while (PGresult* rest = PQgetResult(connection_)) PQclear(rest);
    return copied;
  }

 private:
  absl::Status Check(PGresult* result, ExecStatusType wanted) {
    const bool ok = PQresultStatus(result) == wanted;
    PQclear(result);
    return ok ? absl::OkStatus() : absl::InternalError(PQerrorMessage(connection_));
  }
  PGconn* connection_;
};

absl::StatusOr<FloorCost> MergeByCopy(const RowsDatabase& database, const RowsWorkload& workload) {
  Postgres postgres(database.options.url);
  const std::string columns = StrCat(kUnique, ", ", kInserted, ", ", kUpdated);
  FAIRLEAD_RETURN_IF_ERROR(postgres.Run("SET synchronous_commit TO local"));
  FAIRLEAD_RETURN_IF_ERROR(
      postgres.Run(StrCat("CREATE TEMP TABLE incoming ON COMMIT DELETE ROWS AS SELECT ", columns,
                          " FROM objects LIMIT 0")));
  std::string merge = sql::Dialect::Postgres().Upsert("objects", kUnique, kInserted, kUpdated);
  const size_t begin = merge.find("VALUES"), end = merge.find(" ON CONFLICT");
  merge.replace(begin, end - begin, StrCat("SELECT ", columns, " FROM incoming"));
  return RunBoth(database, workload, [&](const std::vector<Row>& rows) -> absl::Status {
    CopyBuffer buffer;
    for (const Row& row : rows) {
      buffer.BeginRow(13);
      buffer.Integer(1);
      for (const std::string* one : {&row.name_space, &row.name, &row.key, &row.uid})
        buffer.Bytes(*one);
      buffer.Integer(1);
      for (const std::string* one : {&row.version, &row.hash, &row.application}) buffer.Bytes(*one);
      for (const int64_t one : {1, 0, 0}) buffer.Integer(one);
      buffer.Bytes(Compressed(row.body));
    }
    FAIRLEAD_RETURN_IF_ERROR(postgres.Run("BEGIN"));
    FAIRLEAD_RETURN_IF_ERROR(postgres.Copy("incoming", std::move(buffer).End()));
    FAIRLEAD_RETURN_IF_ERROR(postgres.Run(merge));
    return postgres.Run("COMMIT");
  });
}

// ------------------------------------------------------------------------------------------
// one statement

void BindOne(const Row& row, const std::string& body, int* index, sql::Statement* statement) {
  statement->BindInt((*index)++, 1);
  for (const std::string* one : {&row.name_space, &row.name}) statement->BindText((*index)++, *one);
  statement->BindBlob((*index)++, row.key);
  statement->BindText((*index)++, row.uid);
  statement->BindInt((*index)++, 1);
  statement->BindText((*index)++, row.version);
  statement->BindBlob((*index)++, row.hash);
  statement->BindText((*index)++, row.application);
  for (const int64_t one : {1, 0, 0}) statement->BindInt((*index)++, one);
  statement->BindBlob((*index)++, body);
}

absl::StatusOr<FloorCost> MergeByManyValues(const RowsDatabase& database,
                                            const RowsWorkload& workload) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto connection,
                            sql::Open(database.options, sql::Access::kReadWrite));
  const std::string one = connection->dialect().Upsert("objects", kUnique, kInserted, kUpdated);
  const size_t begin = one.find("(?"), end = one.find(')', begin) + 1;
  return RunBoth(database, workload, [&](const std::vector<Row>& rows) -> absl::Status {
    std::string values;
    for (size_t i = 0; i < rows.size(); ++i)
      values += (i == 0 ? "" : ", ") + one.substr(begin, end - begin);
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto statement,
        connection->Prepare(StrCat(one.substr(0, begin), values, one.substr(end))));
    std::vector<std::string> bodies;
    for (const Row& row : rows) bodies.push_back(Compressed(row.body));
    int index = 0;
    for (size_t i = 0; i < rows.size(); ++i) BindOne(rows[i], bodies[i], &index, statement.get());
    return statement->Step().status();
  });
}

}  // namespace

absl::StatusOr<FloorCost> RunMerge(const RowsDatabase& database, const RowsWorkload& workload) {
  FAIRLEAD_RETURN_IF_ERROR(MakeSchema(database));
  return database.engine == Engine::kPostgres ? MergeByCopy(database, workload)
                                              : MergeByManyValues(database, workload);
}

absl::StatusOr<FloorCost> RunRowAtATime(const RowsDatabase& database,
                                        const RowsWorkload& workload) {
  FAIRLEAD_RETURN_IF_ERROR(MakeSchema(database));
  FAIRLEAD_ASSIGN_OR_RETURN(const auto connection,
                            sql::Open(database.options, sql::Access::kReadWrite));
  FAIRLEAD_RETURN_IF_ERROR(connection->SetDurability(sql::Durability::kFull));
  FAIRLEAD_ASSIGN_OR_RETURN(const auto statement, connection->Prepare(connection->dialect().Upsert(
                                                      "objects", kUnique, kInserted, kUpdated)));
  RowsWorkload single = workload;
  single.batch_rows = 1;
  return RunBoth(database, single, [&](const std::vector<Row>& rows) -> absl::Status {
    int index = 0;
    BindOne(rows[0], rows[0].body, &index, statement.get());
    const absl::Status done = statement->Step().status();
    statement->Reset();
    return done;
  });
}

}  // namespace fairlead::bench
