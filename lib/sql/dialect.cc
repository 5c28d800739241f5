#include "lib/sql/dialect.h"

#include <vector>

#include "lib/base/strings.h"

namespace fairlead::sql {
namespace {

std::vector<std::string_view> Columns(std::string_view list) {
  std::vector<std::string_view> columns;
  while (!list.empty()) {
    const size_t end = list.find(", ");
    columns.push_back(list.substr(0, end));
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 2);
  }
  return columns;
}

// "INSERT INTO table (columns) VALUES (?, ...)" behind `verb`.
std::string Insert(std::string_view verb, std::string_view table,
                   const std::vector<std::string_view>& columns) {
  std::string names, marks;
  for (const std::string_view column : columns) {
    names += base::StrCat(names.empty() ? "" : ", ", column);
    marks += marks.empty() ? "?" : ", ?";
  }
  return base::StrCat(verb, " INTO ", table, " (", names, ") VALUES (", marks, ")");
}

// What stands for `token`, the text between "${" and "}".
std::string Meaning(const Dialect& dialect, std::string_view token) {
  if (token == "id") return dialect.id;
  if (token == "int") return dialect.integer;
  if (token == "name") return dialect.name_type;
  if (token == "text") return dialect.text;
  if (token == "key") return dialect.key;
  if (token == "bytes") return dialect.bytes;
  const bool sqlite = dialect.engine == Dialect::Engine::kSqlite;
  if (token == "view") return sqlite ? "CREATE VIEW IF NOT EXISTS" : "CREATE OR REPLACE VIEW";
  if (token == "add") return sqlite ? "ADD COLUMN" : "ADD COLUMN IF NOT EXISTS";
  if (token.starts_with("partial ")) {
    if (dialect.engine == Dialect::Engine::kMysql) return "";
    return base::StrCat(" WHERE ", token.substr(8));
  }
  if (token.starts_with("hex ")) {
    if (dialect.engine == Dialect::Engine::kPostgres)
      return base::StrCat("upper(encode(", token.substr(4), ", 'hex'))");
    return base::StrCat("hex(", token.substr(4), ")");
  }
  return base::StrCat("${", token, "}");  // a mistake of ours: the database will say where
}

}  // namespace

std::string Dialect::Expand(std::string_view ddl) const {
  std::string out;
  while (!ddl.empty()) {
    const size_t begin = ddl.find("${");
    const size_t end = begin == std::string_view::npos ? begin : ddl.find('}', begin);
    out.append(ddl.substr(0, end == std::string_view::npos ? end : begin));
    if (end == std::string_view::npos) break;
    out += Meaning(*this, ddl.substr(begin + 2, end - begin - 2));
    ddl.remove_prefix(end + 1);
  }
  return out;
}

std::string Dialect::Upsert(std::string_view table, std::string_view unique,
                            std::string_view inserted, std::string_view updated) const {
  std::vector<std::string_view> columns = Columns(unique);
  for (const std::string_view list : {inserted, updated}) {
    const auto more = Columns(list);
    columns.insert(columns.end(), more.begin(), more.end());
  }
  std::string assignments;
  for (const std::string_view column : Columns(updated)) {
    assignments += base::StrCat(assignments.empty() ? "" : ", ", column, " = ");
    assignments += engine == Engine::kMysql ? base::StrCat("VALUES(", column, ")")
                                            : base::StrCat("excluded.", column);
  }
  const std::string insert = Insert("INSERT", table, columns);
  if (engine == Engine::kMysql)
    return base::StrCat(insert, " ON DUPLICATE KEY UPDATE ", assignments);
  return base::StrCat(insert, " ON CONFLICT (", unique, ") DO UPDATE SET ", assignments);
}

std::string Dialect::InsertIfAbsent(std::string_view table, std::string_view columns) const {
  if (engine == Engine::kMysql) return Insert("INSERT IGNORE", table, Columns(columns));
  return Insert("INSERT", table, Columns(columns)) + " ON CONFLICT DO NOTHING";
}

std::string Dialect::DeleteSome(std::string_view table, std::string_view condition) const {
  if (engine == Engine::kMysql)
    return base::StrCat("DELETE FROM ", table, " WHERE ", condition, " LIMIT ?");
  const std::string_view place = engine == Engine::kSqlite ? "rowid" : "ctid";
  return base::StrCat("DELETE FROM ", table, " WHERE ", place, " IN (SELECT ", place, " FROM ",
                      table, " WHERE ", condition, " LIMIT ?)");
}

// Each pair must look its row up in the index of all three. What the engines do by themselves, when
// their statistics are old or none, is to read all rows with the number, for each pair or each
// time. MariaDB looks a list up pair by pair. SQLite keeps the order of a CROSS JOIN. PostgreSQL
// cannot read a LATERAL query with a LIMIT but pair by pair, and picks the index by how many rows a
// number has on average if it cannot see this one, of which there may have been none a minute ago.
std::string Dialect::SelectPairs(const PairLookup& what, size_t count) const {
  const std::string select = base::StrCat("SELECT ", what.columns, " FROM ");
  const std::string is_pair = base::StrCat(" WHERE ", what.first, " = pair_1 AND ", what.second,
                                           " = pair_2 AND ", what.number);
  if (engine == Engine::kPostgres) {
    return base::StrCat(select, "unnest(?::text[], ?::text[]) AS pairs (pair_1, pair_2) ",
                        "CROSS JOIN LATERAL (SELECT * FROM ", what.table, is_pair,
                        " = (SELECT ?::bigint) LIMIT 1) AS found");
  }
  std::string marks;
  for (size_t i = 0; i < count; ++i) marks += i == 0 ? "(?, ?)" : ", (?, ?)";
  if (engine == Engine::kMysql) {
    return base::StrCat(select, what.table, " WHERE (", what.first, ", ", what.second, ") IN (",
                        marks, ") AND ", what.number, " = ?");
  }
  return base::StrCat(select, "(SELECT column1 AS pair_1, column2 AS pair_2 FROM (VALUES ", marks,
                      ")) CROSS JOIN ", what.table, is_pair, " = ?");
}

const Dialect& Dialect::Sqlite() {
  static const auto* dialect = new Dialect{.engine = Engine::kSqlite,
                                           .id = "INTEGER PRIMARY KEY AUTOINCREMENT",
                                           .integer = "INTEGER",
                                           .name_type = "TEXT COLLATE BINARY",
                                           .text = "TEXT",
                                           .key = "BLOB",
                                           .bytes = "BLOB"};
  return *dialect;
}

const Dialect& Dialect::Postgres() {
  static const auto* dialect =
      new Dialect{.engine = Engine::kPostgres,
                  .id = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
                  .integer = "BIGINT",
                  .name_type = "TEXT COLLATE \"C\"",
                  .text = "TEXT",
                  .key = "BYTEA",
                  .bytes = "BYTEA"};
  return *dialect;
}

// VARBINARY: the collations of text would hold "a" and "a " for equal.
const Dialect& Dialect::Mysql() {
  static const auto* dialect =
      new Dialect{.engine = Engine::kMysql,
                  .id = "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
                  .integer = "BIGINT",
                  .name_type = "VARBINARY(255)",
                  .text = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                  .key = "VARBINARY(64)",
                  .bytes = "LONGBLOB"};
  return *dialect;
}

}  // namespace fairlead::sql
