#include "endpoint/store/batch_writer.h"

#include <algorithm>

#include "endpoint/store/anchors.h"
#include "endpoint/store/body.h"
#include "lib/base/resource_version.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

bool OfTheRow(const absl::Status& status) {
  return status.code() == absl::StatusCode::kAlreadyExists ||
         status.code() == absl::StatusCode::kOutOfRange;
}

BatchWriter::BatchWriter(sql::Connection* connection, const base::Clock* clock,
                         const WriterOptions& options)
    : connection_(connection),
      clock_(clock),
      options_(options),
      put_object_(connection->dialect().Upsert(
          "objects", "kind, namespace, name", "object_key",
          "uid, history, resource_version, content_hash, application, seq, held, changed_ms, "
          "body")),
      put_position_(
          connection->dialect().Upsert("positions", "kind, watch", "",
                                       "history, resource_version, rules_hash, row_count, row_sum, "
                                       "fresh_ms, verified_ms, anchors")),
      bury_(connection->dialect().Upsert("tombstones", "kind, namespace, name", "",
                                         "history, resource_version, seq, deleted_ms")) {}

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
  const std::string account = base::ToBytes(batch.shard.account);
  int64_t shard_id = 0;
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare("SELECT id FROM shards WHERE account = ? AND shard = ?"));
    sql::Bind(*query, sql::Blob{account}, batch.shard.shard);
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return absl::AbortedError("the account has no shard in the store");
    shard_id = query->Int(0);
  }
  for (const Kind& kind : batch.kinds) {
    FAIRLEAD_ASSIGN_OR_RETURN(KindRow row, LoadKind(shard_id, kind));
    kinds_.push_back(std::move(row));
  }
  for (const Entry& entry : batch.entries) {
    FAIRLEAD_RETURN_IF_ERROR(
        std::visit([&](const auto& one) { return OnEntry(batch, one, result); }, entry));
  }
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

absl::StatusOr<std::optional<BatchWriter::Stored>> BatchWriter::Find(int64_t kind_id,
                                                                     const std::string& name_space,
                                                                     const std::string& name) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare(
          "SELECT id, uid, history, resource_version, content_hash, held FROM objects "
          "WHERE kind = ? AND namespace = ? AND name = ?"));
  sql::Bind(*query, kind_id, name_space, name);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::optional<Stored>();
  Stored stored;
  stored.id = query->Int(0);
  stored.uid = std::string(query->Text(1));
  stored.history = static_cast<uint64_t>(query->Int(2));
  stored.resource_version = std::string(query->Text(3));
  stored.hash = query->Number128(4);
  stored.held = query->Int(5) != 0;
  return std::optional<Stored>(std::move(stored));
}

absl::StatusOr<bool> BatchWriter::BuriedLater(int64_t kind_id, const std::string& name_space,
                                              const std::string& name, uint64_t history,
                                              const std::string& version) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare("SELECT history, resource_version FROM tombstones WHERE kind = ? AND "
                           "namespace = ? AND name = ?"));
  sql::Bind(*query, kind_id, name_space, name);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return false;
  return Compare(history, version, static_cast<uint64_t>(query->Int(0)),
                 std::string(query->Text(1))) != Order::kNewer;
}

absl::Status BatchWriter::Bury(int64_t kind_id, const std::string& name_space,
                               const std::string& name, uint64_t history,
                               const std::string& version, uint64_t seq) {
  return sql::Run(*connection_, bury_, kind_id, name_space, name, history, version, seq,
                  clock_->WallMs())
      .status();
}

// An equal row is not written again, but for two things: it is not held any more, and in another
// history it has another version. With the old one it would be an anchor that proves nothing, and
// every start would be a list.
absl::Status BatchWriter::Confirm(const Stored& stored, uint64_t history,
                                  const std::string& version) {
  if (history > stored.history) {
    return sql::Run(*connection_,
                    "UPDATE objects SET held = 0, history = ?, resource_version = ? WHERE id = ?",
                    history, version, stored.id)
        .status();
  }
  if (!stored.held) return absl::OkStatus();
  return sql::Run(*connection_, "UPDATE objects SET held = 0 WHERE id = ?", stored.id).status();
}

absl::Status BatchWriter::Upsert(const Batch& batch, KindRow* kind, const Row& row,
                                 BatchResult* result) {
  const U128 key = KeyOf(kind->kind, *row.name_space, *row.name);
  MarkSeen(batch, *kind, key);
  FAIRLEAD_ASSIGN_OR_RETURN(const std::optional<Stored> stored,
                            Find(kind->id, *row.name_space, *row.name));
  if (stored) {
    const Order order =
        Compare(row.history, *row.resource_version, stored->history, stored->resource_version);
    if (order == Order::kOlder) {
      ++result->outdated;
      return absl::OkStatus();
    }
    if (stored->hash == row.hash && stored->uid == *row.uid) {
      ++result->unchanged;
      return Confirm(*stored, row.history, *row.resource_version);
    }
  } else {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool buried, BuriedLater(kind->id, *row.name_space, *row.name,
                                                             row.history, *row.resource_version));
    if (buried) {
      ++result->outdated;
      return absl::OkStatus();
    }
  }
  FAIRLEAD_ASSIGN_OR_RETURN(const bool written, StoreOrRefuse(batch, *kind, key, row, result));
  if (!written) return absl::OkStatus();
  ++result->written;
  if (PositionRow* position = PositionOf(kind, *row.name_space)) {
    if (stored) {
      position->sum -= base::SumTerm(key, stored->hash);
    } else {
      ++position->count;
    }
    position->sum += base::SumTerm(key, row.hash);
  }
  if (stored) return absl::OkStatus();
  return sql::Run(*connection_,
                  "DELETE FROM tombstones WHERE kind = ? AND namespace = ? AND name = ?", kind->id,
                  *row.name_space, *row.name)
      .status();
}

// False: refused.
absl::StatusOr<bool> BatchWriter::StoreOrRefuse(const Batch& batch, const KindRow& kind,
                                                const U128& key, const Row& row,
                                                BatchResult* result) {
  if (rows_ == Rows::kTogether) {
    FAIRLEAD_RETURN_IF_ERROR(Store(batch, kind, key, row));
    return true;
  }
  FAIRLEAD_RETURN_IF_ERROR(connection_->Savepoint("object"));
  const absl::Status written = Store(batch, kind, key, row);
  if (written.ok()) {
    FAIRLEAD_RETURN_IF_ERROR(connection_->ReleaseSavepoint("object"));
    return true;
  }
  if (!OfTheRow(written)) return written;
  FAIRLEAD_RETURN_IF_ERROR(connection_->RollbackToSavepoint("object"));
  result->refused.push_back(
      {kind.kind, {*row.name_space, *row.name}, std::string(base::View(written.message()))});
  return false;
}

absl::Status BatchWriter::Store(const Batch& batch, const KindRow& kind, const U128& key,
                                const Row& row) {
  const std::string bytes = base::ToBytes(key);
  const std::string hash = base::ToBytes(row.hash);
  const std::string body = Compress(*row.body, options_.compression_level);
  return sql::Run(*connection_, put_object_, kind.id, *row.name_space, *row.name, sql::Blob{bytes},
                  *row.uid, row.history, *row.resource_version, sql::Blob{hash}, *row.application,
                  batch.seq, 0, clock_->WallMs() - row.age_ms, sql::Blob{body})
      .status();
}

absl::Status BatchWriter::Delete(const Batch& batch, KindRow* kind, const Change& change,
                                 BatchResult* result) {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::optional<Stored> stored,
                            Find(kind->id, change.name_space, change.name));
  if (stored && Compare(change.history, change.resource_version, stored->history,
                        stored->resource_version) == Order::kOlder) {
    ++result->outdated;
    return absl::OkStatus();
  }
  if (stored) {
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "DELETE FROM objects WHERE id = ?", stored->id).status());
    ++result->deleted;
    if (PositionRow* position = PositionOf(kind, change.name_space)) {
      --position->count;
      position->sum -=
          base::SumTerm(KeyOf(kind->kind, change.name_space, change.name), stored->hash);
    }
  }
  if (!stored) {
    // Known to be gone later: a list's end, or a delete that came before, said so.
    FAIRLEAD_ASSIGN_OR_RETURN(const bool buried,
                              BuriedLater(kind->id, change.name_space, change.name, change.history,
                                          change.resource_version));
    if (buried) {
      ++result->outdated;
      return absl::OkStatus();
    }
  }
  // Also without a row: a page that was read before the delete may still bring the object.
  return Bury(kind->id, change.name_space, change.name, change.history, change.resource_version,
              batch.seq);
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
  PositionRow& position = kind->positions[checkpoint.watch];
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
