#include "lib/sql/sqlite.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "lib/sql/migrator.h"

namespace fairlead::sql {
namespace {

class Sqlite : public testing::Test {
 protected:
  Sqlite() {
    std::string pattern = testing::TempDir() + "/fairlead-sql-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Sqlite() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string Path() const { return folder_ + "/test.db"; }
  std::unique_ptr<Connection> Open(SqliteOptions options = {}) {
    options.path = Path();
    auto connection = OpenSqlite(options);
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
  static int64_t Count(Connection& connection) {
    auto query = *connection.Prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(*query->Step());
    return query->Int(0);
  }

  std::string folder_;
};

TEST_F(Sqlite, KeepsIntegersTextAndBytesAsTheyAre) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("CREATE TABLE t (i INTEGER, s TEXT, b BLOB, n TEXT)").ok());
  const std::string bytes("\0\xff\x01", 3);
  ASSERT_TRUE(sql::Run(*db, "INSERT INTO t (i, s, b) VALUES (?, ?, ?)", int64_t{-5},
                       std::string_view("h\xc3\xa9"), Blob{bytes})
                  .ok());
  auto query = *db->Prepare("SELECT i, s, b, n FROM t");
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Int(0), -5);
  EXPECT_EQ(query->Text(1), "h\xc3\xa9");
  EXPECT_EQ(query->Text(2), bytes);
  EXPECT_TRUE(query->IsNull(3));
  EXPECT_FALSE(*query->Step());
}

TEST_F(Sqlite, TheFileIsPrivate) {
  Open();
  struct stat info {};
  ASSERT_EQ(stat(Path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(Sqlite, AMissingFolderSaysWhatToCheck) {
  auto connection = OpenSqlite({.path = folder_ + "/absent/x.db"});
  EXPECT_EQ(connection.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(connection.status().message().find("check that the folder exists"), std::string::npos);
}

TEST_F(Sqlite, AFileOfSomethingElseIsDataLoss) {
  std::ofstream(Path()) << std::string(5000, 'x');
  EXPECT_EQ(OpenSqlite({.path = Path()}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(Sqlite, ARollbackToTheSavepointKeepsWhatWasBefore) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("CREATE TABLE t (i INTEGER)").ok());
  ASSERT_TRUE(db->Begin().ok());
  ASSERT_TRUE(sql::Run(*db, "INSERT INTO t VALUES (?)", 1).ok());
  ASSERT_TRUE(db->Savepoint("one").ok());
  ASSERT_TRUE(sql::Run(*db, "INSERT INTO t VALUES (?)", 2).ok());
  ASSERT_TRUE(db->RollbackToSavepoint("one").ok());
  ASSERT_TRUE(db->Commit().ok());
  EXPECT_EQ(Count(*db), 1);
}

TEST_F(Sqlite, ATransactionThatIsNotCommittedLeavesNothing) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("CREATE TABLE t (i INTEGER)").ok());
  {
    Transaction transaction(db.get());
    ASSERT_TRUE(transaction.Begin().ok());
    ASSERT_TRUE(sql::Run(*db, "INSERT INTO t VALUES (?)", 1).ok());
  }
  EXPECT_FALSE(db->InTransaction());
  EXPECT_EQ(Count(*db), 0);
}

TEST_F(Sqlite, AFullDiskIsResourceExhaustedAndNothingIsLost) {
  auto db = Open({.path = Path(), .max_pages = 8});
  ASSERT_TRUE(db->Execute("CREATE TABLE t (b BLOB)").ok());
  const std::string block(3000, 'b');
  absl::Status status;
  int64_t inserted = 0;
  while (status.ok() && inserted < 100) {
    status = sql::Run(*db, "INSERT INTO t VALUES (?)", Blob{block}).status();
    if (status.ok()) ++inserted;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(Count(*db), inserted);
  ASSERT_TRUE(db->Execute("PRAGMA max_page_count=1000").ok());
  EXPECT_TRUE(sql::Run(*db, "INSERT INTO t VALUES (?)", Blob{block}).ok());
}

TEST_F(Sqlite, AWriteLockHeldElsewhereIsUnavailable) {
  auto first = Open();
  ASSERT_TRUE(first->Execute("CREATE TABLE t (i INTEGER)").ok());
  auto second = Open({.path = Path(), .busy_timeout_ms = 1});
  ASSERT_TRUE(first->Begin().ok());
  EXPECT_EQ(second->Begin().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Sqlite, AReaderSeesCommittedRowsWhileAWriterWrites) {
  auto writer = Open();
  ASSERT_TRUE(writer->Execute("CREATE TABLE t (i INTEGER)").ok());
  auto reader = Open({.path = Path(), .read_only = true});
  ASSERT_TRUE(writer->Begin().ok());
  ASSERT_TRUE(sql::Run(*writer, "INSERT INTO t VALUES (?)", 1).ok());
  EXPECT_EQ(Count(*reader), 0);
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(Count(*reader), 1);
  EXPECT_EQ(sql::Run(*reader, "INSERT INTO t VALUES (?)", 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(Sqlite, OneTextMayBeInUseTwiceAndIsThenCached) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1), (2)").ok());
  auto one = *db->Prepare("SELECT i FROM t ORDER BY i");
  auto two = *db->Prepare("SELECT i FROM t ORDER BY i");
  ASSERT_TRUE(*one->Step());
  ASSERT_TRUE(*one->Step());
  ASSERT_TRUE(*two->Step());
  EXPECT_EQ(one->Int(0), 2);
  EXPECT_EQ(two->Int(0), 1);
  Statement* const kept = one.get();
  one.reset();
  auto again = *db->Prepare("SELECT i FROM t ORDER BY i");
  EXPECT_EQ(again.get(), kept);
  ASSERT_TRUE(*again->Step());
  EXPECT_EQ(again->Int(0), 1);  // begins anew
}

TEST_F(Sqlite, AConstraintIsAlreadyExists) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("CREATE TABLE t (i INTEGER UNIQUE)").ok());
  ASSERT_TRUE(sql::Run(*db, "INSERT INTO t VALUES (?)", 1).ok());
  EXPECT_EQ(sql::Run(*db, "INSERT INTO t VALUES (?)", 1).status().code(),
            absl::StatusCode::kAlreadyExists);
}

constexpr Migration kOne = {1, 1, "first", "CREATE TABLE t (id ${id}, n ${name} NOT NULL)"};
constexpr Migration kTwoAdds = {2, 1, "second", "ALTER TABLE t ADD COLUMN m ${int}"};
constexpr Migration kTwoBreaks = {2, 2, "second", "DROP TABLE t"};

TEST_F(Sqlite, MigrationsRunOnceAndInOrder) {
  auto db = Open();
  const base::ManualClock clock;
  const Migration both[] = {kOne, kTwoAdds};
  EXPECT_EQ(*Migrate(*db, std::span(both, 1), clock), 1);
  EXPECT_EQ(*Migrate(*db, both, clock), 2);
  EXPECT_EQ(*Migrate(*db, both, clock), 2);
  EXPECT_TRUE(db->Execute("INSERT INTO t (n, m) VALUES ('a', 1)").ok());
}

TEST_F(Sqlite, TheReleaseBeforeRunsOnASchemaThatOnlyAdded) {
  auto db = Open();
  const base::ManualClock clock;
  const Migration both[] = {kOne, kTwoAdds};
  ASSERT_TRUE(Migrate(*db, both, clock).ok());
  EXPECT_EQ(*Migrate(*db, std::span(both, 1), clock), 2);
}

TEST_F(Sqlite, AProgramTooOldForTheSchemaRefusesAndNamesBothVersions) {
  auto db = Open();
  const base::ManualClock clock;
  const Migration both[] = {kOne, kTwoBreaks};
  ASSERT_TRUE(Migrate(*db, both, clock).ok());
  const auto old = Migrate(*db, std::span(both, 1), clock);
  EXPECT_EQ(old.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(old.status().message().find("version 2"), std::string::npos);
}

TEST_F(Sqlite, AMigrationThatFailsLeavesTheVersionBefore) {
  auto db = Open();
  const base::ManualClock clock;
  const Migration bad[] = {kOne, {2, 1, "bad", "ALTER TABLE t ADD COLUMN m ${int}; nonsense"}};
  EXPECT_FALSE(Migrate(*db, bad, clock).ok());
  EXPECT_EQ(*Migrate(*db, std::span(bad, 1), clock), 1);
  EXPECT_FALSE(db->Execute("INSERT INTO t (n, m) VALUES ('a', 1)").ok());
}

}  // namespace
}  // namespace fairlead::sql
