#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

// Passes everything on to another connection and counts.
class RecordingConnection : public sql::Connection {
 public:
  explicit RecordingConnection(sql::Connection* inner) : inner_(inner) {}
  explicit RecordingConnection(std::unique_ptr<sql::Connection> inner)
      : owned_(std::move(inner)), inner_(owned_.get()) {}

  struct Group {
    std::string sql;
    size_t rows = 0;
    size_t bytes = 0;
    std::vector<std::string> third;  // the third parameter of each row
  };
  std::vector<Group> groups;    // one for each RunMany()
  size_t statements = 0;        // prepared or run in any way
  std::vector<int64_t> limits;  // of queries with one

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override {
    ++statements;
    return Counted(inner_->Prepare(sql), sql.ends_with(" LIMIT ?"));
  }
  absl::Status RunMany(std::string_view sql, const sql::RowValues& rows) override {
    ++statements;
    Group& group = groups.emplace_back(Group{std::string(sql), rows.rows()});
    for (size_t i = 0; i < rows.rows(); ++i) {
      for (const auto& value : rows.row(i)) group.bytes += value.bytes.size();
      if (rows.columns() > 2) group.third.emplace_back(rows.row(i)[2].bytes);
    }
    return inner_->RunMany(sql, rows);
  }
  absl::StatusOr<StatementPtr> SelectPairs(const sql::PairLookup& what,
                                           std::span<const sql::TextPair> pairs,
                                           int64_t number) override {
    ++statements;
    return Counted(inner_->SelectPairs(what, pairs, number), false);
  }
  absl::Status Execute(std::string_view sql) override {
    ++statements;
    return inner_->Execute(sql);
  }
  [[nodiscard]] int64_t Changes() const override { return inner_->Changes(); }
  absl::StatusOr<int64_t> LastInsertId() override { return inner_->LastInsertId(); }
  absl::Status Begin() override { return inner_->Begin(); }
  absl::Status BeginRead() override { return inner_->BeginRead(); }
  absl::Status Commit() override { return inner_->Commit(); }
  void Rollback() override { inner_->Rollback(); }
  [[nodiscard]] bool InTransaction() const override { return inner_->InTransaction(); }
  absl::Status SetDurability(sql::Durability durability) override {
    return inner_->SetDurability(durability);
  }
  [[nodiscard]] const sql::Dialect& dialect() const override { return inner_->dialect(); }

 protected:
  void Return(sql::Statement* statement) override { delete statement; }

 private:
  class CountedStatement : public sql::Statement {
   public:
    CountedStatement(RecordingConnection* owner, StatementPtr inner, bool limited)
        : owner_(owner), inner_(std::move(inner)), limited_(limited) {}
    void BindInt(int index, int64_t value) override {
      last_ = value;
      inner_->BindInt(index, value);
    }
    void BindText(int index, std::string_view value) override { inner_->BindText(index, value); }
    void BindBlob(int index, std::string_view value) override { inner_->BindBlob(index, value); }
    void BindNull(int index) override { inner_->BindNull(index); }
    absl::StatusOr<bool> Step() override {
      if (std::exchange(limited_, false)) owner_->limits.push_back(last_);
      return inner_->Step();
    }
    void Reset() override { inner_->Reset(); }
    [[nodiscard]] int64_t Int(int column) const override { return inner_->Int(column); }
    [[nodiscard]] std::string_view Text(int column) const override { return inner_->Text(column); }
    [[nodiscard]] bool IsNull(int column) const override { return inner_->IsNull(column); }

   private:
    RecordingConnection* owner_;
    StatementPtr inner_;
    bool limited_;
    int64_t last_ = 0;
  };
  absl::StatusOr<StatementPtr> Counted(absl::StatusOr<StatementPtr> statement, bool limited) {
    if (!statement.ok()) return statement.status();
    return StatementPtr(new CountedStatement(this, *std::move(statement), limited), GiveBack{this});
  }

  std::unique_ptr<sql::Connection> owned_;
  sql::Connection* inner_;
};

}  // namespace fairlead::endpoint::store
