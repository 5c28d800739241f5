#include <utility>

#include "endpoint/store/batch_writer.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

// The half of the BatchWriter that follows snapshots.
namespace fairlead::endpoint::store {

namespace {

std::string ResourceName(const Kind& kind) { return base::StrCat(kind.resource, ".", kind.group); }

}  // namespace

size_t BatchWriter::snapshot_keys() const {
  size_t keys = 0;
  for (const auto& [id, snapshot] : snapshots_) keys += snapshot.seen.size();
  return keys;
}

void BatchWriter::Committed() {
  std::erase_if(snapshots_, [](const auto& one) { return one.second.last_seq != UINT64_MAX; });
}

void BatchWriter::ForgetSnapshots(const ShardKey& shard) {
  std::erase_if(snapshots_, [&](const auto& one) { return one.first.first == shard; });
}

BatchWriter::Snapshot* BatchWriter::FindSnapshot(const Batch& batch, const U128& id) {
  const auto found = snapshots_.find({batch.shard, id});
  if (found == snapshots_.end() || batch.seq > found->second.last_seq) return nullptr;
  return &found->second;
}

BatchWriter::KindRow* BatchWriter::KindOf(const Snapshot& snapshot) {
  for (KindRow& one : kinds_) {
    if (ResourceName(one.kind) == snapshot.resource) return &one;
  }
  return nullptr;
}

void BatchWriter::MarkSeen(const Batch& batch, const KindRow& kind, const U128& key) {
  if (snapshots_.empty()) return;
  for (auto at = snapshots_.lower_bound({batch.shard, U128{}});
       at != snapshots_.end() && at->first.first == batch.shard; ++at) {
    if (at->second.resource == ResourceName(kind.kind)) at->second.seen.insert(key);
  }
}

absl::Status BatchWriter::OnEntry(const Batch& batch, const SnapshotBegin& begin, BatchResult*) {
  FAIRLEAD_ASSIGN_OR_RETURN(KindRow * kind, KindAt(begin.kind));
  for (auto& [id, other] : snapshots_) {
    if (id.first == batch.shard && other.resource == ResourceName(kind->kind) &&
        other.watch == begin.watch) {
      other.last_seq = std::min(other.last_seq, batch.seq - 1);
    }
  }
  Snapshot& snapshot = snapshots_[{batch.shard, begin.snapshot_id}] = Snapshot{};
  snapshot.resource = ResourceName(kind->kind);
  snapshot.watch = begin.watch;
  snapshot.history = begin.history;
  snapshot.begin_seq = batch.seq;
  snapshot.rules_hash = begin.rules_hash;
  snapshot.complete_list = begin.complete_list;
  PositionRow& position = kind->positions[begin.watch];
  position.changed = true;
  // Rows of the new history come from now on and outrank every version of the one before. A grant
  // that began again in that one would be ignored, change for change.
  if (begin.history > position.history) {
    position.history = begin.history;
    position.resource_version.clear();
    position.anchors.clear();
  }
  return absl::OkStatus();
}

absl::Status BatchWriter::OnEntry(const Batch& batch, const SnapshotPage& page,
                                  BatchResult* result) {
  Snapshot* snapshot = FindSnapshot(batch, page.snapshot_id);
  if (snapshot == nullptr)
    return absl::InvalidArgumentError("a page of a snapshot that did not begin");
  if (snapshot_keys() + page.items.size() > options_.max_snapshot_keys) {
    return absl::AbortedError("too many snapshot keys are held in memory");
  }
  KindRow* kind = KindOf(*snapshot);
  if (kind == nullptr) return absl::InvalidArgumentError("a page without its kind");
  Want want{page.snapshot_id, {}};
  for (const SnapshotItem& item : page.items) {
    snapshot->seen.insert(KeyOf(kind->kind, item.name_space, item.name));
    if (item.refused) continue;
    FAIRLEAD_RETURN_IF_ERROR(OnItem(batch, kind, snapshot->history, item, &want, result));
  }
  result->wants.push_back(std::move(want));
  return absl::OkStatus();
}

absl::Status BatchWriter::OnItem(const Batch& batch, KindRow* kind, uint64_t history,
                                 const SnapshotItem& item, Want* want, BatchResult* result) {
  if (item.has_body) {
    const Row row{&item.name_space,       &item.name, &item.uid,
                  &item.resource_version, history,    item.content_hash,
                  &item.application,      0,          &item.body};
    return Upsert(batch, kind, row, result);
  }
  const RowKey key{kind->id, {item.name_space, item.name}};
  FAIRLEAD_ASSIGN_OR_RETURN(const RowState state, Find(key));
  const std::optional<StoredRow>& stored = state.row;
  if (stored && stored->hash == item.content_hash && stored->uid == item.uid) {
    ++result->unchanged;
    plan_.Confirm(key, history, item.resource_version);
    return absl::OkStatus();
  }
  if (stored && Compare(history, item.resource_version, stored->history,
                        stored->resource_version) == Order::kOlder) {
    ++result->outdated;
    return absl::OkStatus();
  }
  if (!stored && BuriedLater(state, history, item.resource_version)) return absl::OkStatus();
  want->names.push_back({item.name_space, item.name});
  return absl::OkStatus();
}

absl::Status BatchWriter::OnEntry(const Batch& batch, const SnapshotEnd& end, BatchResult* result) {
  Snapshot* snapshot = FindSnapshot(batch, end.snapshot_id);
  if (snapshot == nullptr)
    return absl::InvalidArgumentError("the end of a snapshot that did not begin");
  KindRow* kind = KindOf(*snapshot);
  if (kind == nullptr) return absl::InvalidArgumentError("a snapshot's end without its kind");
  SnapshotOutcome outcome{end.snapshot_id, kind->kind, snapshot->watch};
  if (snapshot->complete_list && !end.incomplete) {
    FAIRLEAD_RETURN_IF_ERROR(Sweep(batch, kind, *snapshot, end.resource_version, &outcome));
  }
  result->deleted += outcome.deleted;
  PositionRow& position = kind->positions[snapshot->watch];
  const PositionRow before = position;
  FAIRLEAD_RETURN_IF_ERROR(Recount(kind, snapshot->watch, &position));
  if (Compare(snapshot->history, end.resource_version, position.history,
              position.resource_version) != Order::kOlder) {
    position.history = snapshot->history;
    position.resource_version = end.resource_version;
    position.anchors.clear();
    position.fresh_ms = clock_->WallMs() - end.age_ms;
  }
  position.rules_hash = snapshot->rules_hash;
  const auto count = static_cast<int64_t>(end.count);
  outcome.verified = end.counted && position.count == count && position.sum == end.sum &&
                     before.count == count && before.sum == end.sum;
  if (outcome.verified) position.verified_ms = clock_->WallMs() - end.age_ms;
  position.changed = true;
  result->ended.push_back(outcome);
  snapshot->last_seq = batch.seq;
  return absl::OkStatus();
}

// Invariant 4: only keys not written since the list began and not in it; more than the protection
// allows is held.
absl::Status BatchWriter::Sweep(const Batch& batch, KindRow* kind, const Snapshot& snapshot,
                                const std::string& version, SnapshotOutcome* outcome) {
  struct Gone {
    int64_t id;
    ObjectName name;
    bool held;
  };
  std::vector<Gone> gone;
  int64_t rows = 0;
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare(
            "SELECT id, object_key, seq, namespace, name, held FROM objects WHERE kind = ?"));
    sql::Bind(*query, kind->id);
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
      if (!row) break;
      if (!snapshot.watch.empty() && query->Text(3) != snapshot.watch) continue;
      ++rows;
      if (static_cast<uint64_t>(query->Int(2)) >= snapshot.begin_seq) continue;
      if (snapshot.seen.contains(query->Number128(1))) continue;
      gone.push_back({query->Int(0),
                      {std::string(query->Text(3)), std::string(query->Text(4))},
                      query->Int(5) != 0});
    }
  }
  const auto n = static_cast<int64_t>(gone.size());
  const DeletionProtection& protection = batch.protection;
  const bool hold = n > static_cast<int64_t>(protection.max_count) ||
                    (n > 10 && n * 100 > rows * static_cast<int64_t>(protection.max_percent));
  for (const Gone& one : gone) {
    if (hold) {
      ++outcome->held;
      if (one.held) continue;
      FAIRLEAD_RETURN_IF_ERROR(
          sql::Run(*connection_, "UPDATE objects SET held = 1 WHERE id = ?", one.id).status());
      continue;
    }
    ++outcome->deleted;
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "DELETE FROM objects WHERE id = ?", one.id).status());
    plan_.Bury({kind->id, one.name}, {snapshot.history, version});
  }
  return absl::OkStatus();
}

absl::Status BatchWriter::Recount(KindRow* kind, const std::string& watch, PositionRow* position) {
  position->count = 0;
  position->sum = {};
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare(
          "SELECT object_key, content_hash, namespace FROM objects WHERE kind = ?"));
  sql::Bind(*query, kind->id);
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return absl::OkStatus();
    const std::string_view name_space = query->Text(2);
    const bool other =
        watch.empty() ? !name_space.empty() && kind->positions.contains(std::string(name_space))
                      : name_space != watch;
    if (other) continue;
    ++position->count;
    position->sum += base::SumTerm(query->Number128(0), query->Number128(1));
  }
}

}  // namespace fairlead::endpoint::store
