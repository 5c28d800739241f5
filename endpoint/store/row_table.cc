#include "endpoint/store/row_table.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "endpoint/store/body.h"
#include "lib/base/status.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {
namespace {

constexpr size_t kGroupRows = sql::Connection::kMostRows;
constexpr size_t kGroupBytes = size_t{1} << 20;

// Calls `add` for each of `items`, and runs the statement for a group at a time. `add` says how
// many bytes the row is large.
template <typename Items, typename Add>
absl::Status InGroups(sql::Connection& connection, std::string_view sql, size_t columns,
                      const Items& items, const Add& add) {
  for (size_t i = 0; i < items.size();) {
    sql::RowValues rows(columns);
    std::deque<std::string> texts;  // that the rows point to
    size_t bytes = 0;
    for (; i < items.size() && rows.rows() < kGroupRows && bytes < kGroupBytes; ++i) {
      bytes += add(items[i], &rows, &texts);
    }
    FAIRLEAD_RETURN_IF_ERROR(connection.RunMany(sql, rows));
  }
  return absl::OkStatus();
}

sql::PairLookup LookupIn(std::string_view table, std::string_view columns) {
  return {columns, table, "kind", "namespace", "name"};
}

// Tombstones are asked for only of what has no row.
absl::Status LoadSome(sql::Connection& connection, int64_t kind_id,
                      const std::vector<sql::TextPair>& names, RowPlan* plan) {
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection.SelectPairs(
            LookupIn("objects",
                     "namespace, name, id, uid, history, resource_version, content_hash, held"),
            names, kind_id));
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
      if (!found) break;
      plan->Load({kind_id, {std::string(query->Text(0)), std::string(query->Text(1))}},
                 {.row = StoredRow{.id = query->Int(2),
                                   .uid = std::string(query->Text(3)),
                                   .history = static_cast<uint64_t>(query->Int(4)),
                                   .resource_version = std::string(query->Text(5)),
                                   .hash = query->Number128(6),
                                   .held = query->Int(7) != 0}});
    }
  }
  std::vector<sql::TextPair> absent;
  for (const auto& [name_space, name] : names) {
    if (!plan->State({kind_id, {std::string(name_space), std::string(name)}}).row)
      absent.emplace_back(name_space, name);
  }
  if (absent.empty()) return absl::OkStatus();
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection.SelectPairs(LookupIn("tombstones", "namespace, name, history, resource_version"),
                             absent, kind_id));
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
    if (!found) return absl::OkStatus();
    plan->Load({kind_id, {std::string(query->Text(0)), std::string(query->Text(1))}},
               {.tombstone =
                    Tombstone{static_cast<uint64_t>(query->Int(2)), std::string(query->Text(3))}});
  }
}

}  // namespace

RowTable::RowTable(sql::Connection* connection, const base::Clock* clock, int compression_level)
    : connection_(connection),
      clock_(clock),
      compression_level_(compression_level),
      put_(connection->dialect().Upsert(
          "objects", "kind, namespace, name", "object_key",
          "uid, history, resource_version, content_hash, application, seq, held, changed_ms, "
          "body")),
      bury_(connection->dialect().Upsert("tombstones", "kind, namespace, name", "",
                                         "history, resource_version, seq, deleted_ms")) {}

absl::Status RowTable::Load(int64_t kind_id, const std::vector<ObjectName>& names, RowPlan* plan) {
  std::vector<sql::TextPair> some;
  for (const ObjectName& name : names) {
    const RowKey key{kind_id, name};
    if (plan->Has(key)) continue;
    plan->Load(key, {});
    some.emplace_back(name.name_space, name.name);
    if (some.size() < kGroupRows) continue;
    FAIRLEAD_RETURN_IF_ERROR(LoadSome(*connection_, kind_id, some, plan));
    some.clear();
  }
  return some.empty() ? absl::OkStatus() : LoadSome(*connection_, kind_id, some, plan);
}

absl::Status RowTable::Write(const RowPlan& plan, uint64_t seq) {
  const RowWrites writes = plan.Writes();
  FAIRLEAD_RETURN_IF_ERROR(Remove(writes.removed));
  FAIRLEAD_RETURN_IF_ERROR(Put(writes.put, seq));
  FAIRLEAD_RETURN_IF_ERROR(Confirm(writes.confirmed));
  FAIRLEAD_RETURN_IF_ERROR(Bury(writes.buried, seq));
  return DigUp(writes.dug_up);
}

absl::Status RowTable::Remove(const std::vector<int64_t>& ids) {
  return InGroups(*connection_, "DELETE FROM objects WHERE id = ?", 1, ids,
                  [](int64_t id, sql::RowValues* rows, std::deque<std::string>*) {
                    rows->Add(id);
                    return sizeof id;
                  });
}

absl::Status RowTable::Put(const std::vector<RowWrites::Put>& puts, uint64_t seq) {
  return InGroups(
      *connection_, put_, 13, puts,
      [&](const RowWrites::Put& put, sql::RowValues* rows, std::deque<std::string>* texts) {
        const StoredRow& row = *put.row;
        const std::string& key = texts->emplace_back(base::ToBytes(put.content->object_key));
        const std::string& hash = texts->emplace_back(base::ToBytes(row.hash));
        const std::string& body =
            texts->emplace_back(Compress(*put.content->body, compression_level_));
        rows->Add(put.key->kind_id, put.key->object.name_space, put.key->object.name,
                  sql::Blob{key}, row.uid, row.history, row.resource_version, sql::Blob{hash},
                  *put.content->application, seq, 0, put.content->changed_ms, sql::Blob{body});
        // Compressing much in one go would stand still in the transaction for too long.
        return std::max(body.size(), put.content->body->size() / 4);
      });
}

absl::Status RowTable::Confirm(const std::vector<const StoredRow*>& confirmed) {
  return InGroups(
      *connection_, "UPDATE objects SET held = 0, history = ?, resource_version = ? WHERE id = ?",
      3, confirmed, [](const StoredRow* row, sql::RowValues* rows, std::deque<std::string>*) {
        rows->Add(row->history, row->resource_version, row->id);
        return row->resource_version.size();
      });
}

absl::Status RowTable::Bury(const std::vector<RowWrites::Bury>& tombstones, uint64_t seq) {
  const int64_t now = clock_->WallMs();
  return InGroups(*connection_, bury_, 7, tombstones,
                  [&](const RowWrites::Bury& one, sql::RowValues* rows, std::deque<std::string>*) {
                    rows->Add(one.key->kind_id, one.key->object.name_space, one.key->object.name,
                              one.tombstone->history, one.tombstone->resource_version, seq, now);
                    return one.key->object.name.size();
                  });
}

absl::Status RowTable::DigUp(const std::vector<const RowKey*>& keys) {
  return InGroups(*connection_,
                  "DELETE FROM tombstones WHERE kind = ? AND namespace = ? AND name = ?", 3, keys,
                  [](const RowKey* key, sql::RowValues* rows, std::deque<std::string>*) {
                    rows->Add(key->kind_id, key->object.name_space, key->object.name);
                    return key->object.name.size();
                  });
}

}  // namespace fairlead::endpoint::store
