#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fairlead::sql {

// Rows with one number in a column and one of many pairs of text in two others, in a table with a
// unique index of the three.
struct PairLookup {
  std::string_view columns;  // that are read, as "a, b, c"
  std::string_view table;
  std::string_view number, first, second;
};

// What differs between databases in text. Lists of columns are written "a, b, c".
struct Dialect {
  enum class Engine { kSqlite, kPostgres, kMysql };
  Engine engine;
  // Column types of our DDL: own numbers, never used twice; integers; text that can be indexed,
  // compared byte by byte (at most 255 bytes in MySQL); text; bytes that can be indexed; bytes.
  std::string id, integer, name_type, text, key, bytes;

  // `ddl` with ${id}, ${int}, ${name}, ${text}, ${key}, ${bytes} replaced by the types, and
  //   ${view}          by what makes a view that is not there yet
  //   ${add}           by what adds a column (that is not there yet, where a schema is not
  //   transactional)
  //   ${partial COND}  by a partial index's condition, where there are such
  //   ${hex COLUMN}    by bytes as hexadecimal digits
  [[nodiscard]] std::string Expand(std::string_view ddl) const;

  // Inserts a row; where one with the same `unique` columns is there, sets its `updated` columns
  // instead. Parameters in the order unique, inserted, updated.
  [[nodiscard]] std::string Upsert(std::string_view table, std::string_view unique,
                                   std::string_view inserted, std::string_view updated) const;
  // Inserts a row unless one with the same key is there.
  [[nodiscard]] std::string InsertIfAbsent(std::string_view table, std::string_view columns) const;
  // Deletes rows for which `condition` holds, at most as many as the last parameter says.
  [[nodiscard]] std::string DeleteSome(std::string_view table, std::string_view condition) const;
  // The parameters are `count` pairs and the number.
  [[nodiscard]] std::string SelectPairs(const PairLookup& what, size_t count) const;

  static const Dialect& Sqlite();
  static const Dialect& Postgres();
  static const Dialect& Mysql();
};

}  // namespace fairlead::sql
