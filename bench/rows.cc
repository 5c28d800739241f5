#include "bench/rows.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <thread>

#include "bench/corpus.h"
#include "endpoint/store/store.h"
#include "endpoint/store/writer.h"
#include "lib/base/clock.h"
#include "lib/base/status.h"

namespace fairlead::bench {
namespace {

namespace store = endpoint::store;
using base::StrCat;

constexpr store::ShardKey kShard{{1, 1}, 0};

double ProcessMicros() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

const Corpus& Pods() {
  static const auto* corpus = new Corpus(1, 64);
  return *corpus;
}

absl::StatusOr<std::string> TextOf(sql::Connection& connection, std::string_view query) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto statement, connection.Prepare(query));
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, statement->Step());
  if (!row) return absl::NotFoundError(StrCat("no row: ", query));
  return std::string(statement->Text(0));
}

// A store with its one shard, and a writer into it.
struct Subject {
  static absl::StatusOr<std::unique_ptr<Subject>> Open(const RowsDatabase& database) {
    auto subject = std::make_unique<Subject>();
    FAIRLEAD_ASSIGN_OR_RETURN(subject->store,
                              store::Store::Open(database.options, &subject->clock));
    FAIRLEAD_RETURN_IF_ERROR(subject->store->CreateShard(kShard));
    FAIRLEAD_RETURN_IF_ERROR(subject->store->NewTerm(kShard, "bench", {}).status());
    subject->writer =
        std::make_unique<store::Writer>(&subject->store->connection(), &subject->clock,
                                        store::WriterOptions{.replica = subject->store->replica()});
    return subject;
  }
  base::ManualClock clock;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<store::Writer> writer;
};

// Of what must be there after a phase.
struct Expected {
  uint64_t written = 0;
  uint64_t unchanged = 0;
  uint64_t outdated = 0;
  uint64_t deleted = 0;
};

Expected ExpectedOf(Phase phase, uint64_t objects) {
  switch (phase) {
    case Phase::kInsert:
    case Phase::kUpdate:
      return {.written = objects};
    case Phase::kUnchanged:
      return {.unchanged = objects};
    case Phase::kStale:
      return {.outdated = objects};
    case Phase::kDelete:
      return {.deleted = objects};
  }
  return {};
}

}  // namespace

const char* NameOf(Phase phase) {
  switch (phase) {
    case Phase::kInsert:
      return "insert";
    case Phase::kUnchanged:
      return "unchanged";
    case Phase::kUpdate:
      return "update";
    case Phase::kStale:
      return "stale";
    case Phase::kDelete:
      return "delete";
  }
  return "";
}

absl::StatusOr<RowsDatabase> RowsDatabase::Make(Engine engine, const std::string& dir) {
  RowsDatabase database;
  database.engine = engine;
  if (engine == Engine::kSqlite) {
    database.options.sqlite_path = dir + "/rows.db";
    return database;
  }
  database.server =
      std::make_unique<test::DatabaseServer>(engine, test::DatabaseServer::Fsync::kOn);
  FAIRLEAD_RETURN_IF_ERROR(database.server->Start());
  FAIRLEAD_ASSIGN_OR_RETURN(database.options, database.server->MakeDatabase());
  return database;
}

absl::Status RowsDatabase::Renew() {
  if (engine == Engine::kSqlite) {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(options.sqlite_path + end);
    return absl::OkStatus();
  }
  const bool postgres = engine == Engine::kPostgres;
  {
    FAIRLEAD_ASSIGN_OR_RETURN(const auto connection, sql::Open(options, sql::Access::kReadWrite));
    FAIRLEAD_ASSIGN_OR_RETURN(
        const std::string name,
        TextOf(*connection, postgres ? "SELECT current_schema()::text" : "SELECT DATABASE()"));
    FAIRLEAD_RETURN_IF_ERROR(connection->Execute(postgres ? StrCat("DROP SCHEMA ", name, " CASCADE")
                                                          : StrCat("DROP DATABASE ", name)));
  }
  FAIRLEAD_ASSIGN_OR_RETURN(options, server->MakeDatabase());
  return absl::OkStatus();
}

absl::StatusOr<int64_t> RowsDatabase::ObjectBytes() const {
  if (engine == Engine::kSqlite) return 0;
  FAIRLEAD_ASSIGN_OR_RETURN(const auto connection, sql::Open(options, sql::Access::kReadWrite));
  FAIRLEAD_ASSIGN_OR_RETURN(
      const std::string bytes,
      TextOf(*connection, engine == Engine::kPostgres
                              ? "SELECT pg_total_relation_size('objects')::text"
                              : "SELECT CAST(file_size AS CHAR) FROM "
                                "information_schema.innodb_sys_tablespaces WHERE name = "
                                "CONCAT(DATABASE(), '/objects')"));
  return std::stoll(bytes);
}

absl::StatusOr<int64_t> RowsMeter::LogPosition() {
  if (database_->server == nullptr) return 0;
  const bool postgres = connection_->dialect().engine == Engine::kPostgres;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare(
          postgres ? "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
                   : "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status "
                     "WHERE variable_name = 'Innodb_os_log_written'"));
  FAIRLEAD_RETURN_IF_ERROR(query->Step().status());
  return query->Int(0);
}

absl::Status RowsMeter::Begin() {
  FAIRLEAD_ASSIGN_OR_RETURN(connection_, sql::Open(database_->options, sql::Access::kReadWrite));
  milliseconds_.clear();
  client_micros_ = 0;
  FAIRLEAD_ASSIGN_OR_RETURN(log_before_, LogPosition());
  server_before_ = database_->server != nullptr ? database_->server->CpuMicros() : 0;
  return absl::OkStatus();
}

absl::Status RowsMeter::Call(const std::function<absl::Status()>& write) {
  const auto begin = std::chrono::steady_clock::now();
  const double micros = ProcessMicros();
  FAIRLEAD_RETURN_IF_ERROR(write());
  client_micros_ += ProcessMicros() - micros;
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - begin;
  milliseconds_.push_back(wall.count());
  return absl::OkStatus();
}

absl::StatusOr<RowsCost> RowsMeter::End(uint64_t rows) {
  const auto count = static_cast<double>(rows);
  RowsCost cost;
  if (database_->server != nullptr)
    cost.server_micros = (database_->server->CpuMicros() - server_before_) / count;
  FAIRLEAD_ASSIGN_OR_RETURN(const int64_t log, LogPosition());
  cost.log_bytes = static_cast<double>(log - log_before_) / count;
  cost.client_micros = client_micros_ / count;
  for (const double one : milliseconds_) cost.seconds += one / 1e3;
  std::sort(milliseconds_.begin(), milliseconds_.end());
  cost.p50_ms = milliseconds_[milliseconds_.size() / 2];
  cost.p99_ms = milliseconds_[milliseconds_.size() * 99 / 100];
  return cost;
}

store::Batch MakeBatch(const RowsWorkload& workload, Phase phase, uint64_t first, uint64_t seq) {
  store::Batch batch;
  batch.shard = kShard;
  batch.epoch = batch.term = 1;
  batch.seq = seq;
  batch.kinds = {{"", "pods", "Pod", "v1", true}};
  const uint64_t end = std::min(workload.objects, first + workload.batch_rows);
  for (uint64_t i = first; i < end; ++i) {
    const uint64_t version = phase == Phase::kUpdate ? 2 : 1;
    store::Change change;
    change.upsert = phase != Phase::kDelete;
    change.name_space = StrCat("team-", i % 20);
    change.name = Corpus::PodName(i);
    change.uid = Corpus::PodUid(i);
    change.history = 1;
    change.resource_version = std::to_string(phase == Phase::kStale ? 5 : 1000 * seq + i % 1000);
    change.application = StrCat("app-", i % 100);
    Pods().AppendPod(i, version, 1000, &change.body);
    change.body.resize(workload.body_bytes - 32);
    change.body += Corpus::ChangeOf(i, version);
    change.content_hash = base::Sha256Trunc128(change.body);
    batch.bytes += change.body.size();
    batch.entries.emplace_back(std::move(change));
  }
  return batch;
}

absl::StatusOr<std::vector<RowsCost>> RunWriter(const RowsDatabase& database,
                                                const RowsWorkload& workload) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto subject, Subject::Open(database));
  std::vector<RowsCost> costs;
  uint64_t seq = 0;
  for (const Phase phase : kPhases) {
    RowsMeter meter(&database);
    FAIRLEAD_RETURN_IF_ERROR(meter.Begin());
    Expected did;
    for (uint64_t first = 0; first < workload.objects; first += workload.batch_rows) {
      const std::vector<store::Batch> batches = {MakeBatch(workload, phase, first, ++seq)};
      std::vector<store::BatchResult> results;
      FAIRLEAD_RETURN_IF_ERROR(
          meter.Call([&] { return subject->writer->Write(batches, &results); }));
      FAIRLEAD_RETURN_IF_ERROR(results[0].status);
      did.written += results[0].written;
      did.unchanged += results[0].unchanged;
      did.outdated += results[0].outdated;
      did.deleted += results[0].deleted;
    }
    FAIRLEAD_ASSIGN_OR_RETURN(costs.emplace_back(), meter.End(workload.objects));
    const Expected wanted = ExpectedOf(phase, workload.objects);
    if (did.written != wanted.written || did.unchanged != wanted.unchanged ||
        did.outdated != wanted.outdated || did.deleted != wanted.deleted) {
      return absl::DataLossError(StrCat("ledger broken in phase ", NameOf(phase)));
    }
  }
  return costs;
}

absl::StatusOr<Growth> RunGrowth(const RowsDatabase& database, const RowsWorkload& workload,
                                 double seconds, double rate) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto subject, Subject::Open(database));
  uint64_t seq = 0;
  const auto write = [&](uint64_t first, uint64_t version) -> absl::Status {
    store::Batch batch = MakeBatch(workload, Phase::kInsert, first, ++seq);
    for (store::Entry& entry : batch.entries) {
      auto& change = std::get<store::Change>(entry);
      change.body.replace(change.body.size() - 32, 32, Corpus::ChangeOf(first, version));
      change.content_hash = base::Sha256Trunc128(change.body);
    }
    std::vector<store::BatchResult> results;
    FAIRLEAD_RETURN_IF_ERROR(subject->writer->Write({std::move(batch)}, &results));
    return results[0].status;
  };
  for (uint64_t first = 0; first < workload.objects; first += workload.batch_rows)
    FAIRLEAD_RETURN_IF_ERROR(write(first, 1));
  Growth growth;
  FAIRLEAD_ASSIGN_OR_RETURN(growth.bytes_before, database.ObjectBytes());
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::duration<double> all(seconds);
  for (uint64_t first = 0; std::chrono::steady_clock::now() - begin < all;
       first = (first + workload.batch_rows) % workload.objects) {
    FAIRLEAD_RETURN_IF_ERROR(write(first, 2 + seq));
    growth.rows_changed += workload.batch_rows;
    std::this_thread::sleep_until(
        begin + std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(
                    static_cast<double>(growth.rows_changed) / rate)));
  }
  FAIRLEAD_ASSIGN_OR_RETURN(growth.bytes_after, database.ObjectBytes());
  return growth;
}

}  // namespace fairlead::bench
