#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "lib/base/strings.h"
#include "lib/sql/database.h"
#include "unit/database/server.h"

namespace fairlead::sql {

using Engine = Dialect::Engine;

// A connection to a database of its own, of each engine.
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

}  // namespace fairlead::sql
