// What every database must do alike.
#include <algorithm>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "lib/base/strings.h"
#include "lib/sql/migrator.h"
#include "unit/lib/sql/database_scene.h"

namespace fairlead::sql {
namespace {

TEST_P(Database, KeepsIntegersTextAndBytesAsTheyAre) {
  MakeTable("i ${int}, s ${text}, n ${name}, k ${key}, b ${bytes}, x ${text}");
  const std::string bytes("\0\xff\x01'\\", 5);
  const std::string large(300'000, '\x07');
  ASSERT_EQ(sql::Run(*db_, "INSERT INTO t (i, s, n, k, b) VALUES (?, ?, ?, ?, ?)",
                     int64_t{-5'000'000'000}, std::string_view("h\xc3\xa9 \xf0\x9f\x98\x80"),
                     std::string_view("a "), Blob{bytes}, Blob{large})
                .status(),
            absl::OkStatus());
  auto query = *db_->Prepare("SELECT i, s, n, k, b, x FROM t WHERE n = ? AND k = ?");
  Bind(*query, std::string_view("a "), Blob{bytes});
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Int(0), -5'000'000'000);
  EXPECT_EQ(query->Text(1), "h\xc3\xa9 \xf0\x9f\x98\x80");
  EXPECT_EQ(query->Text(2), "a ");
  EXPECT_EQ(query->Text(3), bytes);
  EXPECT_EQ(query->Text(4), large);
  EXPECT_TRUE(query->IsNull(5));
  EXPECT_EQ(query->Text(5), "");
  EXPECT_FALSE(*query->Step());
}

TEST_P(Database, NamesAreComparedAndOrderedByteByByte) {
  MakeTable("n ${name} NOT NULL PRIMARY KEY");
  for (const char* name : {"b", "a", "B", "a ", "\xc3\xa9"}) {
    ASSERT_EQ(sql::Run(*db_, "INSERT INTO t (n) VALUES (?)", std::string_view(name)).status(),
              absl::OkStatus())
        << name;
  }
  auto query = *db_->Prepare("SELECT n FROM t ORDER BY n");
  std::string all;
  while (*query->Step()) all += base::StrCat(query->Text(0), "|");
  EXPECT_EQ(all, "B|a|a |b|\xc3\xa9|");
}

TEST_P(Database, RowsAreChangedInsertedOnceAndDeletedInSteps) {
  MakeTable("id ${id}, n ${name} NOT NULL UNIQUE, a ${int}, b ${int}");
  const Dialect& dialect = db_->dialect();
  const std::string upsert = dialect.Upsert("t", "n", "a", "b");
  ASSERT_EQ(sql::Run(*db_, upsert, std::string_view("x"), 1, 1).status(), absl::OkStatus());
  const int64_t first = *db_->LastInsertId();
  ASSERT_EQ(sql::Run(*db_, upsert, std::string_view("x"), 2, 2).status(), absl::OkStatus());
  const std::string absent = dialect.InsertIfAbsent("t", "n, a, b");
  ASSERT_EQ(sql::Run(*db_, absent, std::string_view("x"), 3, 3).status(), absl::OkStatus());
  ASSERT_EQ(sql::Run(*db_, absent, std::string_view("y"), 4, 4).status(), absl::OkStatus());
  EXPECT_GT(*db_->LastInsertId(), first);
  {
    auto query = *db_->Prepare("SELECT a, b FROM t WHERE n = 'x'");
    ASSERT_TRUE(*query->Step());
    EXPECT_EQ(query->Int(0), 1);
    EXPECT_EQ(query->Int(1), 2);
  }
  EXPECT_EQ(*sql::Run(*db_, "UPDATE t SET b = 2 WHERE n = 'x'"), 1) << "a row that is hit counts";
  EXPECT_EQ(*sql::Run(*db_, dialect.DeleteSome("t", "a > ?"), 0, 1), 1);
  EXPECT_EQ(Count(*db_), 1);
}

TEST_P(Database, ARollbackToTheSavepointKeepsWhatWasBefore) {
  MakeTable("i ${int} NOT NULL UNIQUE");
  ASSERT_EQ(db_->Begin(), absl::OkStatus());
  ASSERT_EQ(Insert(1), absl::OkStatus());
  ASSERT_EQ(db_->Savepoint("one"), absl::OkStatus());
  ASSERT_EQ(Insert(2), absl::OkStatus());
  EXPECT_EQ(Insert(1).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(db_->RollbackToSavepoint("one"), absl::OkStatus());
  ASSERT_EQ(db_->Savepoint("two"), absl::OkStatus());
  ASSERT_EQ(Insert(3), absl::OkStatus());
  ASSERT_EQ(db_->ReleaseSavepoint("two"), absl::OkStatus());
  ASSERT_EQ(db_->Commit(), absl::OkStatus());
  EXPECT_EQ(Count(*db_), 2);
}

TEST_P(Database, ATransactionThatIsNotCommittedLeavesNothing) {
  MakeTable("i ${int}");
  {
    Transaction transaction(db_.get());
    ASSERT_EQ(transaction.Begin(), absl::OkStatus());
    ASSERT_EQ(Insert(1), absl::OkStatus());
  }
  EXPECT_FALSE(db_->InTransaction());
  EXPECT_EQ(Count(*db_), 0);
}

TEST_P(Database, AReaderSeesOneStateOfCommittedRowsAndWritesNothing) {
  MakeTable("i ${int}");
  const auto reader = OpenOne(Access::kReadOnly);
  ASSERT_EQ(db_->Begin(), absl::OkStatus());
  ASSERT_EQ(Insert(1), absl::OkStatus());
  ASSERT_EQ(reader->BeginRead(), absl::OkStatus());
  EXPECT_EQ(Count(*reader), 0);
  ASSERT_EQ(db_->Commit(), absl::OkStatus());
  EXPECT_EQ(Count(*reader), 0);
  reader->Rollback();
  EXPECT_EQ(Count(*reader), 1);
  EXPECT_NE(sql::Run(*reader, "INSERT INTO t (i) VALUES (2)").status(), absl::OkStatus());
  EXPECT_EQ(Count(*db_), 1);
}

TEST_P(Database, AStatementIsCompiledOnceAndBeginsAnew) {
  MakeTable("i ${int}");
  ASSERT_EQ(Insert(1), absl::OkStatus());
  ASSERT_EQ(Insert(2), absl::OkStatus());
  auto one = *db_->Prepare("SELECT i FROM t ORDER BY i");
  ASSERT_TRUE(*one->Step());
  Statement* const kept = one.get();
  one.reset();  // a row is left
  auto again = *db_->Prepare("SELECT i FROM t ORDER BY i");
  EXPECT_EQ(again.get(), kept);
  ASSERT_TRUE(*again->Step());
  EXPECT_EQ(again->Int(0), 1);
}

TEST_P(Database, ManyRowsAreWrittenAsTheyAreAndInOrder) {
  MakeTable("n ${name} NOT NULL PRIMARY KEY, i ${int}, s ${text}, b ${bytes}");
  const std::string bytes("\0\xff\x01'\\", 5);
  const std::string large(300'000, '\x07');
  RowValues rows(4);
  rows.Add(std::string_view("a"), int64_t{-5'000'000'000}, std::string_view("h\xc3\xa9"),
           Blob{bytes});
  rows.Add(std::string_view("b"), 1, std::string_view(), Blob{large});
  rows.Add(std::string_view("a "), 2, std::string_view("x"), Blob{});
  rows.Add(std::string_view("b"), 3, std::string_view("last"), Blob{large});
  const std::string upsert = db_->dialect().Upsert("t", "n", "", "i, s, b");
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_EQ(db_->Begin(), absl::OkStatus());
    ASSERT_EQ(db_->RunMany(upsert, rows), absl::OkStatus());
    ASSERT_EQ(db_->Commit(), absl::OkStatus());
  }
  auto query = *db_->Prepare("SELECT n, i, s, b FROM t ORDER BY n");
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Int(1), -5'000'000'000);
  EXPECT_EQ(query->Text(2), "h\xc3\xa9");
  EXPECT_EQ(query->Text(3), bytes);
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Text(0), "a ");
  EXPECT_EQ(query->Text(3), "");
  EXPECT_FALSE(query->IsNull(3));
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Int(1), 3);
  EXPECT_EQ(query->Text(2), "last");
  EXPECT_EQ(query->Text(3), large);
  EXPECT_FALSE(*query->Step());
  query.reset();
  ASSERT_EQ(sql::Run(*db_, upsert, std::string_view("c"), 1, std::string_view("alone"), Blob{bytes})
                .status(),
            absl::OkStatus())
      << "the statement is one for single rows still";
  EXPECT_EQ(Count(*db_), 4);
}

TEST_P(Database, OfManyRowsTheRefusedOneIsTheErrorAndTheTransactionGoesOnFromItsSavepoint) {
  MakeTable("i ${int} NOT NULL UNIQUE");
  ASSERT_EQ(db_->Begin(), absl::OkStatus());
  ASSERT_EQ(Insert(7), absl::OkStatus());
  ASSERT_EQ(db_->Savepoint("many"), absl::OkStatus());
  RowValues rows(1);
  for (int i = 0; i < 300; ++i) rows.Add(i % 250);
  const absl::Status refused = db_->RunMany("INSERT INTO t (i) VALUES (?)", rows);
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << refused;
  ASSERT_EQ(db_->RollbackToSavepoint("many"), absl::OkStatus());
  RowValues others(1);
  for (int i = 100; i < 400; ++i) others.Add(i);
  ASSERT_EQ(db_->RunMany("INSERT INTO t (i) VALUES (?)", others), absl::OkStatus());
  ASSERT_EQ(db_->Commit(), absl::OkStatus());
  EXPECT_EQ(Count(*db_), 301);
}

constexpr Migration kOne = {1, 1, "first",
                            "CREATE TABLE IF NOT EXISTS t (id ${id}, n ${name} NOT NULL, k ${key});"
                            "CREATE INDEX IF NOT EXISTS t_n ON t (n)${partial n <> ''};"
                            "${view} v AS SELECT ${hex k} AS h FROM t"};
constexpr Migration kTwo = {2, 1, "second", "CREATE TABLE IF NOT EXISTS u (m ${int})"};

TEST_P(Database, ProcessesThatMigrateAtOnceEndWithOneSchema) {
  const base::ManualClock clock;
  const Migration both[] = {kOne, kTwo};
  std::vector<std::future<absl::StatusOr<int>>> running;
  for (int i = 0; i < 4; ++i) {
    running.push_back(std::async(std::launch::async, [&] {
      auto own = Open(options_, Access::kReadWrite);
      return own.ok() ? Migrate(**own, both, clock) : absl::StatusOr<int>(own.status());
    }));
  }
  for (auto& one : running) {
    const auto version = one.get();
    ASSERT_TRUE(version.ok()) << version.status();
    EXPECT_EQ(*version, 2);
  }
  ASSERT_EQ(sql::Run(*db_, "INSERT INTO t (n, k) VALUES ('a', ?)", Blob{"\x1f\xa0"}).status(),
            absl::OkStatus());
  auto query = *db_->Prepare("SELECT h FROM v");
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Text(0), "1FA0");
}

INSTANTIATE_TEST_SUITE_P(Databases, Database,
                         testing::Values(Engine::kSqlite, Engine::kPostgres, Engine::kMysql),
                         [](const auto& info) { return test::NameOf(info.param); });

// ------------------------------------------------------------------------------------------
// What only a server can do to us.

}  // namespace
}  // namespace fairlead::sql
