#include "lib/sql/connection.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/status.h"

namespace fairlead::sql {
namespace {

void BindValue(Statement& statement, int index, const RowValues::Value& value) {
  switch (value.type) {
    case RowValues::Value::Type::kInteger:
      return statement.BindInt(index, value.integer);
    case RowValues::Value::Type::kText:
      return statement.BindText(index, value.bytes);
    case RowValues::Value::Type::kBytes:
      return statement.BindBlob(index, value.bytes);
  }
}

}  // namespace

void BindRow(Statement& statement, std::span<const RowValues::Value> row) {
  int index = 0;
  for (const RowValues::Value& value : row) BindValue(statement, index++, value);
}

absl::Status Connection::RunMany(std::string_view sql, const RowValues& rows) {
  FAIRLEAD_ASSIGN_OR_RETURN(const StatementPtr statement, Prepare(sql));
  for (size_t i = 0; i < rows.rows(); ++i) {
    BindRow(*statement, rows.row(i));
    FAIRLEAD_RETURN_IF_ERROR(statement->Step().status());
    statement->Reset();
  }
  return absl::OkStatus();
}

// Texts of few sizes, so that few are compiled: what is left over is filled with the last pair.
absl::StatusOr<Connection::StatementPtr> Connection::SelectPairs(const PairLookup& what,
                                                                 std::span<const TextPair> pairs,
                                                                 int64_t number) {
  FAIRLEAD_CHECK(!pairs.empty() && pairs.size() <= kMostRows);
  size_t places = 1;
  while (places < pairs.size()) places *= 2;
  places = std::min(places, kMostRows);
  FAIRLEAD_ASSIGN_OR_RETURN(StatementPtr statement, Prepare(dialect().SelectPairs(what, places)));
  int index = 0;
  for (size_t i = 0; i < places; ++i) {
    const TextPair& pair = pairs[std::min(i, pairs.size() - 1)];
    statement->BindText(index++, pair.first);
    statement->BindText(index++, pair.second);
  }
  statement->BindInt(index, number);
  return statement;
}

}  // namespace fairlead::sql
