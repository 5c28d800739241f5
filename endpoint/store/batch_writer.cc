#include "endpoint/store/batch_writer.h"

#include <algorithm>

#include "endpoint/store/anchors.h"
#include "endpoint/store/body.h"
#include "lib/base/resource_version.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

namespace {

// What no cluster has: an agent that says so is broken or hostile.
constexpr size_t kMostKinds = 5000;     // of a shard
constexpr size_t kMostWatches = 10000;  // of a kind, each of a namespace

}  // namespace

bool OfTheRow(const absl::Status& status) {
  return status.code() == absl::StatusCode::kAlreadyExists ||
         status.code() == absl::StatusCode::kOutOfRange;
}

BatchWriter::BatchWriter(sql::Connection* connection, const base::Clock* clock,
                         const WriterOptions& options)
    : connection_(connection),
      clock_(clock),
      options_(options),
      table_(connection, clock, options.compression_level),
      put_position_(
          connection->dialect().Upsert("positions", "kind, watch", "",
                                       "history, resource_version, rules_hash, row_count, row_sum, "
                                       "fresh_ms, verified_ms, anchors")) {}

BatchWriter::Order BatchWriter::Compare(uint64_t history, const std::string& version,
                                        uint64_t other_history, const std::string& other_version) {
  if (history != other_history) return history < other_history ? Order::kOlder : Order::kNewer;
  if (version == other_version) return Order::kSame;
  const auto order = base::CompareResourceVersions(version, other_version);
  // Without an order the later message is the newer state.
  return order && *order < 0 ? Order::kOlder : Order::kNewer;
}

absl::Status BatchWriter::Apply(const Batch& batch, Rows rows, BatchResult* result) {
  rows_ = rows;
  kinds_.clear();
  added_ = 0;
  plan_.Clear();
  const std::string account = base::ToBytes(batch.shard.account);
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare("SELECT id FROM shards WHERE account = ? AND shard = ?"));
    sql::Bind(*query, sql::Blob{account}, batch.shard.shard);
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return absl::AbortedError("the account has no shard in the store");
    shard_id_ = query->Int(0);
  }
  if (batch.kinds.size() > kMostKinds) return absl::InvalidArgumentError("too many kinds");
  for (const Kind& kind : batch.kinds) {
    FAIRLEAD_ASSIGN_OR_RETURN(KindRow row, LoadKind(shard_id_, kind));
    kinds_.push_back(std::move(row));
  }
  for (size_t i = 0; i < batch.entries.size(); ++i) {
    FAIRLEAD_RETURN_IF_ERROR(Prepare(batch, i));
    FAIRLEAD_RETURN_IF_ERROR(
        std::visit([&](const auto& one) { return OnEntry(batch, one, result); }, batch.entries[i]));
  }
  FAIRLEAD_RETURN_IF_ERROR(Flush(batch));
  for (KindRow& kind : kinds_) FAIRLEAD_RETURN_IF_ERROR(SavePositions(&kind));
  return absl::OkStatus();
}

absl::StatusOr<BatchWriter::KindRow> BatchWriter::LoadKind(int64_t shard_id, const Kind& kind) {
  KindRow row;
  row.kind = kind;
  bool same = false;
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare(
            "SELECT id, kind, version FROM kinds WHERE shard = ? AND api_group = ? "
            "AND resource = ?"));
    sql::Bind(*query, shard_id, kind.group, kind.resource);
    FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
    if (found) {
      row.id = query->Int(0);
      same = query->Text(1) == kind.kind && query->Text(2) == kind.version;
    }
  }
  if (row.id == 0) {
    FAIRLEAD_ASSIGN_OR_RETURN(const int64_t kinds, CountKinds(shard_id));
    if (kinds >= static_cast<int64_t>(kMostKinds)) {
      return absl::InvalidArgumentError("too many kinds");
    }
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_,
                 "INSERT INTO kinds (shard, api_group, resource, kind, version, namespaced) "
                 "VALUES (?, ?, ?, ?, ?, ?)",
                 shard_id, kind.group, kind.resource, kind.kind, kind.version,
                 kind.namespaced ? 1 : 0)
            .status());
    FAIRLEAD_ASSIGN_OR_RETURN(row.id, connection_->LastInsertId());
    return row;
  }
  if (!same) {
    FAIRLEAD_RETURN_IF_ERROR(sql::Run(*connection_,
                                      "UPDATE kinds SET kind = ?, version = ? WHERE id = ?",
                                      kind.kind, kind.version, row.id)
                                 .status());
  }
  FAIRLEAD_RETURN_IF_ERROR(LoadPositions(&row));
  return row;
}

absl::Status BatchWriter::LoadPositions(KindRow* kind) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare(
          "SELECT watch, history, resource_version, rules_hash, row_count, row_sum, "
          "fresh_ms, verified_ms, anchors FROM positions WHERE kind = ?"));
  sql::Bind(*query, kind->id);
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
    if (!found) return absl::OkStatus();
    PositionRow& position = kind->positions[std::string(query->Text(0))];
    position.history = static_cast<uint64_t>(query->Int(1));
    position.resource_version = std::string(query->Text(2));
    position.rules_hash = std::string(query->Text(3));
    position.count = query->Int(4);
    position.sum = query->Number128(5);
    position.fresh_ms = query->Int(6);
    position.verified_ms = query->Int(7);
    position.anchors = std::string(query->Text(8));
  }
}

absl::Status BatchWriter::SavePositions(KindRow* kind) {
  for (auto& [watch, position] : kind->positions) {
    if (!position.changed) continue;
    const std::string sum = base::ToBytes(position.sum);
    FAIRLEAD_RETURN_IF_ERROR(sql::Run(*connection_, put_position_, kind->id, watch,
                                      position.history, position.resource_version,
                                      sql::Blob{position.rules_hash}, position.count,
                                      sql::Blob{sum}, position.fresh_ms, position.verified_ms,
                                      sql::Blob{position.anchors})
                                 .status());
    position.changed = false;
  }
  return absl::OkStatus();
}

absl::StatusOr<BatchWriter::KindRow*> BatchWriter::KindAt(uint32_t index) {
  if (index >= kinds_.size())
    return absl::InvalidArgumentError("an entry names a kind that is not there");
  return &kinds_[index];
}

// The watch that counts an object: the one of its namespace, else the one of all.
BatchWriter::PositionRow* BatchWriter::PositionOf(KindRow* kind, const std::string& name_space) {
  auto found = kind->positions.find(name_space);
  if (found == kind->positions.end()) found = kind->positions.find("");
  if (found == kind->positions.end()) return nullptr;  // counted at the snapshot's end
  found->second.changed = true;
  return &found->second;
}

absl::StatusOr<BatchWriter::PositionRow*> BatchWriter::PositionFor(KindRow* kind,
                                                                   const std::string& watch) {
  if (kind->positions.size() >= kMostWatches && !kind->positions.contains(watch)) {
    return absl::InvalidArgumentError("too many watches of one kind");
  }
  return &kind->positions[watch];
}

// A page's keys are read at once, and those of all changes up to the next end of a snapshot. With
// every object alone nothing is: the plan ends with each of them.
absl::Status BatchWriter::Prepare(const Batch& batch, size_t entry) {
  if (std::holds_alternative<SnapshotEnd>(batch.entries[entry]) ||
      std::holds_alternative<ConfirmHeld>(batch.entries[entry]) ||
      std::holds_alternative<Rescope>(batch.entries[entry])) {
    return Flush(batch);
  }
  if (rows_ == Rows::kEachAlone) return absl::OkStatus();
  if (const auto* page = std::get_if<SnapshotPage>(&batch.entries[entry])) {
    const Snapshot* snapshot = FindSnapshot(batch, page->snapshot_id);
    const KindRow* kind = snapshot != nullptr ? KindOf(*snapshot) : nullptr;
    if (kind == nullptr) return absl::OkStatus();  // for the entry to say
    std::vector<ObjectName> names;
    for (const SnapshotItem& item : page->items) names.push_back({item.name_space, item.name});
    return table_.Load(kind->id, names, &plan_);
  }
  const auto* first = std::get_if<Change>(&batch.entries[entry]);
  if (first == nullptr || first->kind >= kinds_.size() ||
      plan_.Has({kinds_[first->kind].id, {first->name_space, first->name}})) {
    return absl::OkStatus();
  }
  std::vector<std::vector<ObjectName>> names(kinds_.size());
  for (size_t i = entry; i < batch.entries.size(); ++i) {
    if (std::holds_alternative<SnapshotEnd>(batch.entries[i])) break;
    const auto* change = std::get_if<Change>(&batch.entries[i]);
    if (change != nullptr && change->kind < kinds_.size())
      names[change->kind].push_back({change->name_space, change->name});
  }
  for (size_t i = 0; i < names.size(); ++i)
    FAIRLEAD_RETURN_IF_ERROR(table_.Load(kinds_[i].id, names[i], &plan_));
  return absl::OkStatus();
}

absl::Status BatchWriter::Flush(const Batch& batch) {
  absl::Status written = table_.Write(plan_, batch.seq);
  plan_.Clear();
  return written;
}

absl::StatusOr<RowState> BatchWriter::Find(const RowKey& key) {
  FAIRLEAD_RETURN_IF_ERROR(table_.Load(key.kind_id, {key.object}, &plan_));
  return plan_.State(key);
}

bool BatchWriter::BuriedLater(const RowState& state, uint64_t history, const std::string& version) {
  return state.tombstone && Compare(history, version, state.tombstone->history,
                                    state.tombstone->resource_version) != Order::kNewer;
}

absl::Status BatchWriter::Upsert(const Batch& batch, KindRow* kind, const Row& row,
                                 BatchResult* result) {
  const U128 object_key = KeyOf(kind->kind, *row.name_space, *row.name);
  MarkSeen(batch, *kind, object_key);
  const RowKey key{kind->id, {*row.name_space, *row.name}};
  FAIRLEAD_ASSIGN_OR_RETURN(const RowState state, Find(key));
  const std::optional<StoredRow>& stored = state.row;
  if (stored) {
    const Order order =
        Compare(row.history, *row.resource_version, stored->history, stored->resource_version);
    const bool older = order == Order::kOlder;
    if (older && !Doubted(batch, *kind, object_key)) {
      ++result->outdated;
      return absl::OkStatus();
    }
    if (stored->hash == row.hash && stored->uid == *row.uid) {
      ++result->unchanged;
      plan_.Confirm(key, row.history, *row.resource_version);
      if (older) plan_.SetVersion(key, row.history, *row.resource_version);
      return absl::OkStatus();
    }
  } else if (BuriedLater(state, row.history, *row.resource_version)) {
    ++result->outdated;
    return absl::OkStatus();
  }
  if (!stored) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool room, Room(batch, *kind, key.object, result));
    if (!room) return absl::OkStatus();
  }
  const RowContent content{object_key, row.application, row.body, clock_->WallMs() - row.age_ms};
  const StoredRow next{0, *row.uid, row.history, *row.resource_version, row.hash};
  FAIRLEAD_ASSIGN_OR_RETURN(const bool written,
                            StoreOrRefuse(batch, key, next, content, kind->kind, result));
  if (!written) return absl::OkStatus();
  ++result->written;
  if (PositionRow* position = PositionOf(kind, *row.name_space)) {
    if (stored) {
      position->sum -= base::SumTerm(object_key, stored->hash);
    } else {
      ++position->count;
    }
    position->sum += base::SumTerm(object_key, row.hash);
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> BatchWriter::CountKinds(int64_t shard_id) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection_->Prepare("SELECT count(*) FROM kinds WHERE shard = ?"));
  sql::Bind(*query, shard_id);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  return row ? query->Int(0) : 0;
}

// Of the batch's shard, before the batch.
absl::StatusOr<int64_t> BatchWriter::CountRows() {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection_->Prepare("SELECT row_count FROM positions WHERE kind IN "
                                                 "(SELECT id FROM kinds WHERE shard = ?)"));
  sql::Bind(*query, shard_id_);
  int64_t rows = 0;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return rows;
    rows += query->Int(0);
  }
}

// Counted once, and again when as many have come as may: rows that went make room then. Without
// room it is looked again after a thousand refusals.
absl::StatusOr<bool> BatchWriter::Room(const Batch& batch, const KindRow& kind,
                                       const ObjectName& object, BatchResult* result) {
  int64_t& room = room_[batch.shard];
  if (room == 0) {
    FAIRLEAD_ASSIGN_OR_RETURN(const int64_t rows, CountRows());
    room = options_.max_objects - rows - added_;
    if (room <= 0) room = -1000;
  }
  if (room > 0) {
    --room;
    ++added_;
    return true;
  }
  ++room;
  result->refused.push_back({kind.kind, object,
                             base::StrCat("the account has ", options_.max_objects,
                                          " objects, as many as limits.objectsPerAccount allows")});
  return false;
}

// False: refused.
absl::StatusOr<bool> BatchWriter::StoreOrRefuse(const Batch& batch, const RowKey& key,
                                                const StoredRow& row, const RowContent& content,
                                                const Kind& kind, BatchResult* result) {
  if (rows_ == Rows::kTogether) {
    plan_.Put(key, row, content);
    return true;
  }
  RowState before = plan_.State(key);
  FAIRLEAD_RETURN_IF_ERROR(Flush(batch));
  FAIRLEAD_RETURN_IF_ERROR(connection_->Savepoint("object"));
  plan_.Load(key, std::move(before));
  plan_.Put(key, row, content);
  const absl::Status written = Flush(batch);
  if (written.ok()) {
    FAIRLEAD_RETURN_IF_ERROR(connection_->ReleaseSavepoint("object"));
    return true;
  }
  if (!OfTheRow(written)) return written;
  FAIRLEAD_RETURN_IF_ERROR(connection_->RollbackToSavepoint("object"));
  result->refused.push_back({kind, key.object, std::string(base::View(written.message()))});
  return false;
}

absl::Status BatchWriter::Delete(const Batch& batch, KindRow* kind, const Change& change,
                                 BatchResult* result) {
  const RowKey key{kind->id, {change.name_space, change.name}};
  FAIRLEAD_ASSIGN_OR_RETURN(const RowState state, Find(key));
  const std::optional<StoredRow>& stored = state.row;
  const U128 object_key = KeyOf(kind->kind, change.name_space, change.name);
  const bool outdated = stored ? Compare(change.history, change.resource_version, stored->history,
                                         stored->resource_version) == Order::kOlder &&
                                     !Doubted(batch, *kind, object_key)
                               : BuriedLater(state, change.history, change.resource_version);
  if (outdated) {
    ++result->outdated;
    return absl::OkStatus();
  }
  if (stored) {
    ++result->deleted;
    if (PositionRow* position = PositionOf(kind, change.name_space)) {
      --position->count;
      position->sum -= base::SumTerm(object_key, stored->hash);
    }
  }
  // Also without a row: a page that was read before the delete may still bring the object.
  plan_.Bury(key, {change.history, change.resource_version});
  return absl::OkStatus();
}

absl::Status BatchWriter::OnEntry(const Batch& batch, const Change& change, BatchResult* result) {
  FAIRLEAD_ASSIGN_OR_RETURN(KindRow * kind, KindAt(change.kind));
  if (!change.upsert) return Delete(batch, kind, change, result);
  const Row row{&change.name_space,       &change.name,   &change.uid,
                &change.resource_version, change.history, change.content_hash,
                &change.application,      change.age_ms,  &change.body};
  return Upsert(batch, kind, row, result);
}

absl::Status BatchWriter::OnEntry(const Batch&, const Checkpoint& checkpoint, BatchResult*) {
  FAIRLEAD_ASSIGN_OR_RETURN(KindRow * kind, KindAt(checkpoint.kind));
  FAIRLEAD_ASSIGN_OR_RETURN(PositionRow * of, PositionFor(kind, checkpoint.watch));
  PositionRow& position = *of;
  if (Compare(checkpoint.history, checkpoint.resource_version, position.history,
              position.resource_version) == Order::kOlder) {
    return absl::OkStatus();  // a position never goes back
  }
  position.history = checkpoint.history;
  position.resource_version = checkpoint.resource_version;
  position.rules_hash = checkpoint.rules_hash;
  position.anchors = PackAnchors(checkpoint.anchors);
  position.fresh_ms = clock_->WallMs() - checkpoint.age_ms;
  position.changed = true;
  return absl::OkStatus();
}

}  // namespace fairlead::endpoint::store
