#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/types.h"
#include "lib/sql/database.h"
#include "unit/database/server.h"

// Rows on their way into a database: by store::Writer, batch for batch, as the endpoint does it.
namespace fairlead::bench {

using Engine = sql::Dialect::Engine;

// A database of its own to write into, durable as in production.
struct RowsDatabase {
  static absl::StatusOr<RowsDatabase> Make(Engine engine, const std::string& dir);

  // Drops it and makes another, which nothing is in.
  absl::Status Renew();
  // Bytes of the table of objects with its indexes, as the server says; 0 with SQLite.
  absl::StatusOr<int64_t> ObjectBytes() const;

  Engine engine = Engine::kSqlite;
  sql::DatabaseOptions options;
  std::unique_ptr<test::DatabaseServer> server;  // null with SQLite
};

// Objects 0, 1, ... of one account. Bodies are the first `body_bytes` of the corpus' pods, with 32
// hexadecimal digits at the end that differ from version to version.
struct RowsWorkload {
  uint64_t objects = 20'000;
  size_t body_bytes = 4300;
  int batch_rows = 500;
};

enum class Phase { kInsert, kUnchanged, kUpdate, kStale, kDelete };
inline constexpr Phase kPhases[] = {Phase::kInsert, Phase::kUnchanged, Phase::kUpdate,
                                    Phase::kStale, Phase::kDelete};
const char* NameOf(Phase phase);

// What one phase cost, each object once.
struct RowsCost {
  double seconds = 0;        // inside the calls that write
  double client_micros = 0;  // CPU a row, of this process
  double server_micros = 0;  // CPU a row, of all the server's processes
  double log_bytes = 0;      // of the write-ahead log, a row
  double p50_ms = 0;         // of one call: a transaction of `batch_rows`
  double p99_ms = 0;
};

// Measures calls, each of which writes `rows` rows.
class RowsMeter {
 public:
  explicit RowsMeter(const RowsDatabase* database) : database_(database) {}
  absl::Status Begin();
  absl::Status Call(const std::function<absl::Status()>& write);
  absl::StatusOr<RowsCost> End(uint64_t rows);

 private:
  absl::StatusOr<int64_t> LogPosition();

  const RowsDatabase* database_;
  std::unique_ptr<sql::Connection> connection_;
  std::vector<double> milliseconds_;
  double client_micros_ = 0;
  double server_before_ = 0;
  int64_t log_before_ = 0;
};

// The batch with objects [first, first + workload.batch_rows) of a phase. `seq` from 1.
endpoint::store::Batch MakeBatch(const RowsWorkload& workload, Phase phase, uint64_t first,
                                 uint64_t seq);

// All phases, one after the other, in a database that holds nothing of ours. The ledger: each phase
// must end with exactly the rows it should.
absl::StatusOr<std::vector<RowsCost>> RunWriter(const RowsDatabase& database,
                                                const RowsWorkload& workload);

// Inserts all objects, then changes batch after batch of them for `seconds`, at most `rate` rows a
// second, and says by how much the table has grown since the inserts.
struct Growth {
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;
  uint64_t rows_changed = 0;
};
absl::StatusOr<Growth> RunGrowth(const RowsDatabase& database, const RowsWorkload& workload,
                                 double seconds, double rate);

}  // namespace fairlead::bench
