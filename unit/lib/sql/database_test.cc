// What every database must do alike.
#include "lib/sql/database.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "lib/base/strings.h"
#include "lib/sql/migrator.h"
#include "lib/sql/mysql.h"
#include "lib/sql/postgres.h"
#include "unit/database/server.h"

namespace fairlead::sql {
namespace {

using Engine = Dialect::Engine;

class Database : public testing::TestWithParam<Engine> {
 protected:
  Database() {
    std::string pattern = testing::TempDir() + "/fairlead-sql-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    options_ = test::NewDatabase(GetParam(), folder_);
    db_ = OpenOne();
  }
  ~Database() override {
    db_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::unique_ptr<Connection> OpenOne(Access access = Access::kReadWrite) {
    auto connection = Open(options_, access);
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
  void MakeTable(const std::string& columns) {
    const absl::Status made =
        db_->Execute(db_->dialect().Expand(base::StrCat("CREATE TABLE t (", columns, ")")));
    ASSERT_TRUE(made.ok()) << made;
  }
  static int64_t Count(Connection& connection) {
    auto query = connection.Prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(query.ok()) << query.status();
    EXPECT_TRUE(*(*query)->Step());
    return (*query)->Int(0);
  }
  absl::Status Insert(int64_t i) {
    return sql::Run(*db_, "INSERT INTO t (i) VALUES (?)", i).status();
  }

  std::string folder_;
  DatabaseOptions options_;
  std::unique_ptr<Connection> db_;
};

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

class Pairs : public Database {
 protected:
  static constexpr PairLookup kLookup = {"i, a, b", "t", "i", "a", "b"};
  Pairs() {
    MakeTable("i ${int} NOT NULL, a ${name} NOT NULL, b ${name} NOT NULL, seq ${int} NOT NULL");
    for (const char* index :
         {"CREATE UNIQUE INDEX t_all ON t (i, a, b)", "CREATE INDEX t_seq ON t (i, seq)"}) {
      EXPECT_EQ(db_->Execute(index), absl::OkStatus());
    }
  }
  void Fill(int64_t i, const std::vector<TextPair>& pairs) {
    RowValues rows(4);
    for (const auto& [a, b] : pairs) rows.Add(i, a, b, 1);
    EXPECT_EQ(db_->Begin(), absl::OkStatus());
    EXPECT_EQ(db_->RunMany("INSERT INTO t (i, a, b, seq) VALUES (?, ?, ?, ?)", rows),
              absl::OkStatus());
    EXPECT_EQ(db_->Commit(), absl::OkStatus());
  }
  std::vector<std::string> Find(const std::vector<TextPair>& pairs, int64_t i) {
    std::vector<std::string> found;
    auto query = db_->SelectPairs(kLookup, pairs, i);
    EXPECT_TRUE(query.ok()) << query.status();
    for (;;) {
      const auto row = (*query)->Step();
      EXPECT_TRUE(row.ok()) << row.status();
      if (!row.ok() || !*row) break;
      EXPECT_EQ((*query)->Int(0), i);
      found.push_back(base::StrCat((*query)->Text(1), "/", (*query)->Text(2)));
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }
};

TEST_P(Pairs, AreFoundWithTheirNumberAndByteByByte) {
  Fill(1, {{"a", "b"}, {"a", "c"}, {"b", "a"}, {"", "d"}, {"a", "b "}, {"\xc3\xa9", "{\",\\"}});
  Fill(2, {{"a", "b"}, {"x", "y"}});
  using Found = std::vector<std::string>;
  EXPECT_EQ(Find({{"a", "b"}, {"x", "y"}, {"b", "b"}}, 1), Found({"a/b"}));
  EXPECT_EQ(Find({{"a", "b"}, {"x", "y"}, {"b", "b"}}, 2), Found({"a/b", "x/y"}));
  EXPECT_EQ(Find({{"", "d"}}, 1), Found({"/d"}));
  EXPECT_EQ(Find({{"A", "b"}, {"a", "b "}, {"\xc3\xa9", "{\",\\"}}, 1),
            Found({"a/b ", "\xc3\xa9/{\",\\"}));
  EXPECT_EQ(Find({{"no", "row"}, {"no", "one"}}, 1), Found());
}

TEST_P(Pairs, AreAsManyAsRowsOfOneGroup) {
  std::vector<std::string> names;
  for (size_t i = 0; i < Connection::kMostRows; ++i) names.push_back(base::StrCat("name-", i));
  std::vector<TextPair> pairs;
  for (const std::string& name : names) pairs.emplace_back("ns", name);
  Fill(1, pairs);
  EXPECT_EQ(Find(pairs, 1).size(), Connection::kMostRows);
}

// Another index begins with the number as well. Who takes that, or reads all rows with the number
// to compare them, needs minutes for the first sync of a large cluster.
TEST_P(Pairs, AreLookedUpOneByOneInTheIndexOfAllThree) {
  std::vector<std::string> names;
  for (size_t i = 0; i < Connection::kMostRows; ++i) names.push_back(base::StrCat("name-", i));
  const auto fill = [&](int64_t number, size_t space) {
    std::vector<TextPair> pairs;
    for (const std::string& name : names) pairs.emplace_back(names[space], name);
    Fill(number, pairs);
  };
  for (int64_t number = 2; number < 8; ++number) fill(number, 0);
  if (GetParam() == Engine::kPostgres) {
    ASSERT_EQ(db_->Execute("ANALYZE t"), absl::OkStatus());  // it knows of no row with a 1
  }
  for (size_t space = 0; space < 10; ++space) fill(1, space);
  std::string sql = db_->dialect().SelectPairs(kLookup, names.size());
  std::string array;
  for (const std::string& name : names)
    array += base::StrCat(array.empty() ? "ARRAY['" : ", '", name, "'");
  array += "]";
  for (size_t at = 0, i = 0; (at = sql.find('?')) != std::string::npos; ++i) {
    const bool is_array = sql.substr(at).starts_with("?::text[]");
    const bool is_number = sql.substr(at).starts_with("?::bigint") || at + 1 == sql.size();
    sql.replace(at, 1, is_array ? array : is_number ? "1" : base::StrCat("'name-", i, "'"));
  }
  auto query = db_->Prepare(
      base::StrCat(GetParam() == Engine::kSqlite ? "EXPLAIN QUERY PLAN " : "EXPLAIN ", sql));
  ASSERT_TRUE(query.ok()) << query.status();
  std::string plan;
  while (*(*query)->Step()) {
    if (GetParam() == Engine::kMysql) {  // type, key, its bytes that are used
      plan += base::StrCat((*query)->Text(3), " ", (*query)->Text(5), " ", (*query)->Text(6), "\n");
    } else {
      plan += base::StrCat((*query)->Text(GetParam() == Engine::kSqlite ? 3 : 0), "\n");
    }
  }
  const std::string wanted = GetParam() == Engine::kSqlite     ? "INDEX t_all (i=? AND a=? AND b=?)"
                             : GetParam() == Engine::kPostgres ? "using t_all"
                                                               : "range t_all 522";
  EXPECT_NE(plan.find(wanted), std::string::npos) << plan;
  EXPECT_EQ(plan.find("t_seq"), std::string::npos) << plan;
  EXPECT_EQ(plan.find("Hash"), std::string::npos) << plan;
}

INSTANTIATE_TEST_SUITE_P(Databases, Pairs,
                         testing::Values(Engine::kSqlite, Engine::kPostgres, Engine::kMysql),
                         [](const auto& info) { return test::NameOf(info.param); });

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

class Server : public Database {};

TEST_P(Server, WhatARowCannotHoldIsOutOfRange) {
  MakeTable("n ${name}, s ${text}");
  EXPECT_EQ(
      sql::Run(*db_, "INSERT INTO t (s) VALUES (?)", std::string_view("\xff\xfe")).status().code(),
      absl::StatusCode::kOutOfRange);
  EXPECT_EQ(db_->Execute("INSERT INTO t (s) VALUES ('a')"), absl::OkStatus());
}

TEST_P(Server, TwoStatementsAtOnceAreAMistakeOfOurs) {
  MakeTable("i ${int}");
  ASSERT_EQ(Insert(1), absl::OkStatus());
  auto one = *db_->Prepare("SELECT i FROM t");
  ASSERT_TRUE(*one->Step());
  EXPECT_EQ(Insert(2).code(), absl::StatusCode::kInternal);
  one.reset();
  EXPECT_EQ(Insert(2), absl::OkStatus());
}

TEST_P(Server, AWriteLockHeldElsewhereIsUnavailable) {
  MakeTable("i ${int} NOT NULL UNIQUE");
  const auto other = OpenOne();
  ASSERT_EQ(other->Execute(GetParam() == Engine::kPostgres
                               ? "SET idle_in_transaction_session_timeout TO 0"
                               : "SET SESSION idle_transaction_timeout = 0"),
            absl::OkStatus());
  ASSERT_EQ(db_->Execute(GetParam() == Engine::kPostgres ? "SET lock_timeout TO 50"
                                                         : "SET innodb_lock_wait_timeout = 0"),
            absl::OkStatus());
  ASSERT_EQ(other->Begin(), absl::OkStatus());
  ASSERT_EQ(sql::Run(*other, "INSERT INTO t (i) VALUES (1)").status(), absl::OkStatus());
  ASSERT_EQ(db_->Begin(), absl::OkStatus());
  EXPECT_EQ(Insert(1).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Insert(2).code(), absl::StatusCode::kUnavailable) << "the transaction is over";
  EXPECT_NE(db_->Commit(), absl::OkStatus());
  ASSERT_EQ(other->Commit(), absl::OkStatus());
  EXPECT_EQ(Insert(2), absl::OkStatus());
}

// A writer that stands still in a transaction must not hold its rows' locks for ever.
TEST_P(Server, ATransactionThatStandsStillIsEndedByTheServer) {
  MakeTable("i ${int} NOT NULL UNIQUE");
  ASSERT_EQ(db_->Begin(), absl::OkStatus());
  ASSERT_EQ(Insert(1), absl::OkStatus());
  const auto other = OpenOne();
  EXPECT_EQ(sql::Run(*other, "INSERT INTO t (i) VALUES (1)").status(), absl::OkStatus())
      << "waits for about a second";
  EXPECT_EQ(Insert(2).code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(db_->Commit(), absl::OkStatus());
  EXPECT_FALSE(db_->InTransaction());
  ASSERT_EQ(db_->Begin(), absl::OkStatus()) << "with a new connection";
  ASSERT_EQ(Insert(2), absl::OkStatus());
  ASSERT_EQ(db_->Commit(), absl::OkStatus());
  EXPECT_EQ(Count(*other), 2);
}

TEST_P(Server, AKilledServerIsUnavailableAndFoundAgainWithNothingHalfDone) {
  test::DatabaseServer server(GetParam());
  ASSERT_EQ(server.Start(), absl::OkStatus());
  options_ = *server.MakeDatabase();
  db_ = OpenOne();
  MakeTable("i ${int}");
  ASSERT_EQ(Insert(1), absl::OkStatus());
  ASSERT_EQ(db_->Begin(), absl::OkStatus());
  ASSERT_EQ(Insert(2), absl::OkStatus());
  server.Kill();
  EXPECT_EQ(Insert(3).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(db_->Commit().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(db_->InTransaction());
  EXPECT_EQ(db_->Begin().code(), absl::StatusCode::kUnavailable);
  ASSERT_EQ(server.Start(), absl::OkStatus());
  while (!db_->Begin().ok()) {  // for a second it does not even try
  }
  EXPECT_EQ(Count(*db_), 1);
  db_->Rollback();
}

TEST_P(Server, AServerThatWasRestartedFailsNoStatementThatComesAfter) {
  test::DatabaseServer server(GetParam());
  ASSERT_EQ(server.Start(), absl::OkStatus());
  options_ = *server.MakeDatabase();
  db_ = OpenOne();
  MakeTable("i ${int}");
  ASSERT_EQ(Insert(1), absl::OkStatus());
  for (int restart = 0; restart < 2; ++restart) {
    server.Kill();
    ASSERT_EQ(server.Start(), absl::OkStatus());
    EXPECT_EQ(Insert(2), absl::OkStatus());
    EXPECT_EQ(Count(*db_), restart + 2);
  }
}

TEST_P(Server, AServerThatIsSilentIsGivenUp) {
  test::DatabaseServer server(GetParam());
  ASSERT_EQ(server.Start(), absl::OkStatus());
  const DatabaseOptions made = *server.MakeDatabase();
  std::unique_ptr<Connection> db;
  if (GetParam() == Engine::kPostgres) {
    db = *OpenPostgres({.url = made.url, .connect_timeout_s = 2, .answer_timeout_ms = 500});
  } else {
    const std::string socket = made.url.substr(made.url.find("socket=") + 7);
    db = *OpenMysql({.socket = socket,
                     .user = "root",
                     .database = "test1",
                     .connect_timeout_s = 2,
                     .answer_timeout_s = 1});
  }
  server.Pause();
  EXPECT_EQ(db->Execute("SELECT 1").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(db->Begin().code(), absl::StatusCode::kUnavailable);
  server.Continue();
}

TEST(DatabaseUrl, SaysWhatIsWrongWithIt) {
  const auto refuse = [](const std::string& url) {
    const auto opened = Open({.url = url}, Access::kReadWrite);
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition) << url;
    return std::string(base::View(opened.status().message()));
  };
  EXPECT_NE(refuse("oracle://x").find("begins with postgresql:// or mariadb://"),
            std::string::npos);
  EXPECT_NE(refuse("postgresql://h/d?nonsense=1").find("nonsense"), std::string::npos);
  EXPECT_NE(refuse("postgresql://u:p@h/d").find("passwordFile"), std::string::npos);
  EXPECT_NE(refuse("postgresql://u@h/d?password=p").find("passwordFile"), std::string::npos);
  EXPECT_NE(refuse("mysql://u@h/d").find("begins with"), std::string::npos);
  EXPECT_NE(refuse("mariadb://h/d").find("no user"), std::string::npos);
  EXPECT_NE(refuse("mariadb://u:p@h/d").find("passwordFile"), std::string::npos);
  EXPECT_NE(refuse("mariadb://u@h/").find("no database"), std::string::npos);
  EXPECT_NE(refuse("mariadb://u@h:x/d").find("the port"), std::string::npos);
  EXPECT_NE(refuse("mariadb://u@h/d?tls=1").find("unknown option \"tls\""), std::string::npos);
}

TEST(DatabaseUrl, IsShownWithoutItsPassword) {
  EXPECT_EQ(Describe({.url = "postgresql://u:secret@h:5432/d"}), "postgresql://u@h:5432/d");
  EXPECT_EQ(Describe({.url = "postgresql://u@h:5432/d"}), "postgresql://u@h:5432/d");
  EXPECT_EQ(Describe({.url = "postgresql://h:5432/d"}), "postgresql://h:5432/d");
  EXPECT_EQ(Describe({.url = "postgresql://u@h/d?password=secret"}), "postgresql://u@h/d");
  EXPECT_EQ(Describe({.url = "x"}), "x");
  EXPECT_EQ(Describe({.sqlite_path = "/data/x.db"}), "/data/x.db");
}

INSTANTIATE_TEST_SUITE_P(Databases, Server, testing::Values(Engine::kPostgres, Engine::kMysql),
                         [](const auto& info) { return test::NameOf(info.param); });

}  // namespace
}  // namespace fairlead::sql
