// What only databases with a server can do, and how they fail.
#include <future>
#include <string>
#include <vector>

#include "lib/sql/mysql.h"
#include "lib/sql/postgres.h"
#include "unit/lib/sql/database_scene.h"

namespace fairlead::sql {
namespace {

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
