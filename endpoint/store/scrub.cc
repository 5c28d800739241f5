#include "endpoint/store/scrub.h"

#include <utility>

#include "endpoint/store/body.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/json/object_view.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {
namespace {

constexpr char kRows[] =
    "SELECT o.id, o.seq, o.namespace, o.name, o.object_key, o.content_hash, o.application, o.body "
    "FROM objects o JOIN kinds k ON k.id = o.kind JOIN shards s ON s.id = k.shard "
    "WHERE s.account = ? AND s.shard = ? AND k.api_group = ? AND k.resource = ? "
    "AND (? = '' OR o.namespace = ?) AND (o.namespace, o.name) > (?, ?) "
    "ORDER BY o.namespace, o.name LIMIT 500";

// Columns as in kRows.
bool Sound(const sql::Statement& row, const U128& key, json::ObjectReader* reader) {
  std::string body;
  if (row.Number128(4) != key || !Decompress(row.Text(7), &body)) return false;
  if (base::Sha256Trunc128(body) != row.Number128(5)) return false;
  const auto view = reader->ReadObject(body, json::CutRules());
  return view.ok() && view->application == row.Text(6);
}

}  // namespace

absl::StatusOr<ScrubPage> ScrubRows(sql::Connection& connection, const ScrubRequest& request) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query, connection.Prepare(kRows));
  const std::string account = base::ToBytes(request.shard.account);
  sql::Bind(*query, sql::Blob{account}, request.shard.shard, request.group, request.resource,
            request.watch, request.watch, request.after.name_space, request.after.name);
  ScrubPage page;
  page.last = request.after;
  json::ObjectReader reader;
  size_t bytes = 0;
  uint64_t rows = 0;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    page.more = row || rows == 500;
    if (!row || bytes >= request.most_bytes) return page;
    ++rows;
    ++page.rows;
    page.last = {std::string(query->Text(2)), std::string(query->Text(3))};
    bytes += query->Text(7).size();
    const U128 key =
        base::ObjectKey(request.group, request.resource, page.last.name_space, page.last.name);
    if (!Sound(*query, key, &reader)) {
      page.damaged.push_back({query->Int(0), static_cast<uint64_t>(query->Int(1)), key});
    }
  }
}

absl::StatusOr<int64_t> MarkDamaged(sql::Connection& connection,
                                    const std::vector<DamagedRow>& rows) {
  FAIRLEAD_RETURN_IF_ERROR(connection.SetDurability(sql::Durability::kFull));
  sql::Transaction transaction(&connection);
  FAIRLEAD_RETURN_IF_ERROR(transaction.Begin());
  const std::string none = base::ToBytes(U128{});
  int64_t marked = 0;
  for (const DamagedRow& row : rows) {
    const std::string key = base::ToBytes(row.key);
    FAIRLEAD_ASSIGN_OR_RETURN(
        const int64_t hit,
        sql::Run(connection,
                 "UPDATE objects SET content_hash = ?, object_key = ? WHERE id = ? AND seq = ?",
                 sql::Blob{none}, sql::Blob{key}, row.id, row.seq));
    marked += hit;
  }
  FAIRLEAD_RETURN_IF_ERROR(transaction.Commit());
  return marked;
}

}  // namespace fairlead::endpoint::store
