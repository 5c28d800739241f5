// Many pairs looked up in one query.
#include <algorithm>
#include <string>
#include <vector>

#include "unit/lib/sql/database_scene.h"

namespace fairlead::sql {
namespace {

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

}  // namespace
}  // namespace fairlead::sql
