#include <algorithm>
#include <utility>
#include <vector>

#include "endpoint/store/batch_writer.h"
#include "lib/base/resource_version.h"
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
  for (const auto& [id, snapshot] : snapshots_) keys += snapshot.listed.size();
  return keys;
}

void BatchWriter::Committed() {
  std::erase_if(snapshots_, [](const auto& one) { return one.second.last_seq != UINT64_MAX; });
}

void BatchWriter::ForgetShard(const ShardKey& shard) {
  room_.erase(shard);
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
    if (at->second.resource == ResourceName(kind.kind)) at->second.listed.try_emplace(key);
  }
}

absl::Status BatchWriter::OnEntry(const Batch& batch, const SnapshotBegin& begin, BatchResult*) {
  FAIRLEAD_ASSIGN_OR_RETURN(KindRow * kind, KindAt(begin.kind));
  FAIRLEAD_ASSIGN_OR_RETURN(PositionRow * of, PositionFor(kind, begin.watch));
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
  PositionRow& position = *of;
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
  if (static_cast<int64_t>(snapshot->listed.size()) > options_.max_objects) {
    return absl::InvalidArgumentError("a list of more objects than limits.objectsPerAccount");
  }
  KindRow* kind = KindOf(*snapshot);
  if (kind == nullptr) return absl::InvalidArgumentError("a page without its kind");
  Want want{page.snapshot_id, {}};
  for (const SnapshotItem& item : page.items) {
    const U128 key = KeyOf(kind->kind, item.name_space, item.name);
    snapshot->Listed(key, item.refused ? U128{} : item.content_hash,
                     base::SumTerm(key, item.content_hash));
    if (item.refused) continue;
    FAIRLEAD_RETURN_IF_ERROR(OnItem(batch, kind, snapshot, item, &want, result));
  }
  result->wants.push_back(std::move(want));
  return absl::OkStatus();
}

absl::Status BatchWriter::OnItem(const Batch& batch, KindRow* kind, Snapshot* snapshot,
                                 const SnapshotItem& item, Want* want, BatchResult* result) {
  const uint64_t history = snapshot->history;
  if (item.has_body) {
    const Row row{&item.name_space,       &item.name, &item.uid,
                  &item.resource_version, history,    item.content_hash,
                  &item.application,      0,          &item.body};
    return Upsert(batch, kind, row, result);
  }
  const RowKey key{kind->id, {item.name_space, item.name}};
  FAIRLEAD_ASSIGN_OR_RETURN(const RowState state, Find(key));
  const std::optional<StoredRow>& stored = state.row;
  if (stored && Compare(history, item.resource_version, stored->history,
                        stored->resource_version) == Order::kOlder) {
    ++result->outdated;
    FAIRLEAD_ASSIGN_OR_RETURN(const bool before, WrittenBefore(*snapshot, key));
    if (!before) return absl::OkStatus();
    snapshot->doubted.insert(KeyOf(kind->kind, item.name_space, item.name));
    want->names.push_back({item.name_space, item.name});
    return absl::OkStatus();
  }
  if (stored && stored->hash == item.content_hash && stored->uid == item.uid) {
    ++result->unchanged;
    plan_.Confirm(key, history, item.resource_version);
    return absl::OkStatus();
  }
  if (!stored && BuriedLater(state, history, item.resource_version)) return absl::OkStatus();
  want->names.push_back({item.name_space, item.name});
  return absl::OkStatus();
}

void BatchWriter::Snapshot::Listed(const U128& key, const U128& hash, const U128& term) {
  U128& known = listed[key];
  if (known != U128{}) {  // a page that was read again
    sum -= base::SumTerm(key, known);
    --count;
    --comparable;
  }
  known = hash;
  if (hash != U128{}) ++comparable;
  sum += term;
  ++count;
}

// Before the list's first item came, not in this batch.
absl::StatusOr<bool> BatchWriter::WrittenBefore(const Snapshot& snapshot, const RowKey& key) {
  if (plan_.HasContent(key)) return false;
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection_->Prepare("SELECT seq FROM objects WHERE id = ?"));
  sql::Bind(*query, plan_.State(key).row->id);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  return row && static_cast<uint64_t>(query->Int(0)) < snapshot.begin_seq;
}

// A row that claims a later version than a list that began after it: either the watch brought it
// while the list was on its way, or somebody wrote it by hand, and it would refuse everything that
// comes. What the agent says of it from then on is later than both, so that is what counts.
bool BatchWriter::Doubted(const Batch& batch, const KindRow& kind, const U128& key) const {
  for (auto at = snapshots_.lower_bound({batch.shard, U128{}});
       at != snapshots_.end() && at->first.first == batch.shard; ++at) {
    if (at->second.resource == ResourceName(kind.kind) && at->second.last_seq >= batch.seq &&
        at->second.doubted.contains(key))
      return true;
  }
  return false;
}

absl::Status BatchWriter::OnEntry(const Batch& batch, const SnapshotEnd& end, BatchResult* result) {
  Snapshot* snapshot = FindSnapshot(batch, end.snapshot_id);
  if (snapshot == nullptr)
    return absl::InvalidArgumentError("the end of a snapshot that did not begin");
  KindRow* kind = KindOf(*snapshot);
  if (kind == nullptr) return absl::InvalidArgumentError("a snapshot's end without its kind");
  SnapshotOutcome outcome{end.snapshot_id, kind->kind, snapshot->watch};
  PositionRow& position = kind->positions[snapshot->watch];
  FAIRLEAD_ASSIGN_OR_RETURN(Survey survey, SurveyRows(*kind, *snapshot, end.resource_version));
  if (snapshot->complete_list && !end.incomplete) {
    FAIRLEAD_RETURN_IF_ERROR(
        Sweep(batch, kind, *snapshot, end.resource_version, &survey, &outcome));
  }
  result->deleted += outcome.deleted;
  Judge(*snapshot, end, survey, position, &outcome);
  position.count = survey.count;
  position.sum = survey.sum;
  if (Compare(snapshot->history, end.resource_version, position.history,
              position.resource_version) != Order::kOlder) {
    position.history = snapshot->history;
    position.resource_version = end.resource_version;
    position.anchors.clear();
    position.fresh_ms = clock_->WallMs() - end.age_ms;
  }
  position.rules_hash = snapshot->rules_hash;
  if (outcome.verified) {
    position.verified_ms = clock_->WallMs() - end.age_ms;
  } else if (outcome.compared) {
    position.verified_ms = 0;  // what was proven before is in doubt now
  }
  position.changed = true;
  result->ended.push_back(std::move(outcome));
  snapshot->last_seq = batch.seq;
  return absl::OkStatus();
}

// What is older than the watch's position, or than the row, does not bring it back.
absl::Status BatchWriter::OnEntry(const Batch& batch, const ConfirmHeld& confirm,
                                  BatchResult* result) {
  FAIRLEAD_ASSIGN_OR_RETURN(KindRow * kind, KindAt(confirm.kind));
  std::vector<Change> held;
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare("SELECT namespace, name, history, resource_version FROM objects "
                             "WHERE kind = ? AND held <> 0"));
    sql::Bind(*query, kind->id);
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
      if (!row) break;
      Change change;
      change.name_space = std::string(query->Text(0));
      change.name = std::string(query->Text(1));
      change.history = static_cast<uint64_t>(query->Int(2));
      change.resource_version = std::string(query->Text(3));
      held.push_back(std::move(change));
    }
  }
  for (Change& change : held) {
    const PositionRow* position = PositionOf(kind, change.name_space);
    if (position != nullptr && NewerVersion(position->history, position->resource_version,
                                            change.history, change.resource_version)) {
      change.history = position->history;
      change.resource_version = position->resource_version;
    }
    FAIRLEAD_RETURN_IF_ERROR(Delete(batch, kind, change, result));
  }
  return absl::OkStatus();
}

// Whether `watch` counts the rows of a namespace, or another watch of the kind does.
bool BatchWriter::Counts(const KindRow& kind, const std::string& watch,
                         std::string_view name_space) {
  if (!watch.empty()) return name_space == watch;
  return name_space.empty() || !kind.positions.contains(std::string(name_space));
}

// Reads every row of the kind once. A row written since the list began is newer than the list says;
// every other one is as the list has it, or the list has it not, or something is wrong. Keys are
// made from the names, as what was changed by hand is not to be believed.
absl::StatusOr<BatchWriter::Survey> BatchWriter::SurveyRows(const KindRow& kind,
                                                            const Snapshot& snapshot,
                                                            const std::string& version) {
  Survey survey;
  uint64_t found = 0;  // of what the list has
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare("SELECT id, content_hash, seq, namespace, name, held, history, "
                             "resource_version FROM objects WHERE kind = ?"));
    sql::Bind(*query, kind.id);
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
      if (!row) break;
      ObjectName name{std::string(query->Text(3)), std::string(query->Text(4))};
      const U128 key = KeyOf(kind.kind, name.name_space, name.name);
      const U128 hash = query->Number128(1);
      const U128 term = base::SumTerm(key, hash);
      const bool counted = Counts(kind, snapshot.watch, name.name_space);
      if (counted) {
        ++survey.count;
        survey.sum += term;
      }
      if (!snapshot.watch.empty() && name.name_space != snapshot.watch) continue;
      ++survey.rows;
      const auto listed = snapshot.listed.find(key);
      const bool in_list = listed != snapshot.listed.end();
      if (in_list && listed->second != U128{}) ++found;
      if (static_cast<uint64_t>(query->Int(2)) >= snapshot.begin_seq) continue;
      if (in_list) {
        if (listed->second != hash && listed->second != U128{}) ++survey.different;
        continue;
      }
      // Written between the moment the list was asked for and its first item.
      const uint64_t history = static_cast<uint64_t>(query->Int(6));
      if (NewerVersion(history, std::string(query->Text(7)), snapshot.history, version)) {
        ++survey.newer;
        continue;
      }
      survey.gone.push_back({query->Int(0), std::move(name), query->Int(5) != 0, counted, term});
    }
  }
  survey.missing = snapshot.comparable - found;
  if (survey.missing == 0) return survey;
  FAIRLEAD_ASSIGN_OR_RETURN(const uint64_t buried, BuriedSince(kind, snapshot, version));
  survey.missing -= std::min(survey.missing, buried);
  return survey;
}

// How many of what the list has were deleted since it began.
absl::StatusOr<uint64_t> BatchWriter::BuriedSince(const KindRow& kind, const Snapshot& snapshot,
                                                  const std::string& version) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query, connection_->Prepare("SELECT namespace, name, seq, history, "
                                             "resource_version FROM tombstones WHERE kind = ?"));
  sql::Bind(*query, kind.id);
  uint64_t buried = 0;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return buried;
    const bool since = static_cast<uint64_t>(query->Int(2)) >= snapshot.begin_seq ||
                       NewerVersion(static_cast<uint64_t>(query->Int(3)),
                                    std::string(query->Text(4)), snapshot.history, version);
    const auto listed = snapshot.listed.find(
        KeyOf(kind.kind, std::string(query->Text(0)), std::string(query->Text(1))));
    if (since && listed != snapshot.listed.end() && listed->second != U128{}) ++buried;
  }
}

// Of one history, and surely: without an order no version is newer.
bool BatchWriter::NewerVersion(uint64_t history, const std::string& version, uint64_t other_history,
                               const std::string& other_version) {
  if (history != other_history) return history > other_history;
  const auto order = base::CompareResourceVersions(version, other_version);
  return order && *order > 0;
}

// Invariant 4: only keys not written since the list began and not in it; more than the protection
// allows is held, but for what the account's owner does not want any more.
absl::Status BatchWriter::Sweep(const Batch& batch, KindRow* kind, const Snapshot& snapshot,
                                const std::string& version, Survey* survey,
                                SnapshotOutcome* outcome) {
  if (batch.scope) FAIRLEAD_RETURN_IF_ERROR(MarkOutside(*batch.scope, survey));
  const auto n = std::count_if(survey->gone.begin(), survey->gone.end(),
                               [](const Survey::Gone& one) { return !one.outside; });
  const DeletionProtection& protection = batch.protection;
  const bool hold =
      n > static_cast<int64_t>(protection.max_count) ||
      (n > 10 && n * 100 > survey->rows * static_cast<int64_t>(protection.max_percent));
  for (const Survey::Gone& one : survey->gone) {
    if (hold && !one.outside) {
      ++outcome->held;
      if (one.held) continue;
      FAIRLEAD_RETURN_IF_ERROR(
          sql::Run(*connection_, "UPDATE objects SET held = 1 WHERE id = ?", one.id).status());
      continue;
    }
    ++outcome->deleted;
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "DELETE FROM objects WHERE id = ?", one.id).status());
    // The object of a row outside is still there, and may come back as it is.
    if (!one.outside) plan_.Bury({kind->id, one.name}, {snapshot.history, version});
    if (!one.counted) continue;
    --survey->count;
    survey->sum -= one.term;
    PositionRow& position = kind->positions[snapshot.watch];
    --position.count;
    position.sum -= one.term;
  }
  survey->gone.clear();
  return absl::OkStatus();
}

// Invariant 9. What is held is known not to be in the cluster, and says so; it is left out of what
// the list is compared with.
void BatchWriter::Judge(const Snapshot& snapshot, const SnapshotEnd& end, const Survey& survey,
                        const PositionRow& running, SnapshotOutcome* outcome) {
  outcome->compared = end.counted && !end.incomplete && snapshot.complete_list;
  if (!outcome->compared) {
    outcome->doubt = "the list was not one whole list of one version";
  } else if (end.count != snapshot.count || end.sum != snapshot.sum) {
    outcome->doubt = "not all of the list arrived";
  } else if (running.count != survey.count || running.sum != survey.sum) {
    outcome->doubt = "the running sum was not that of the rows";
  } else if (snapshot.comparable != snapshot.count) {
    outcome->doubt = base::StrCat(snapshot.count - snapshot.comparable, " objects were refused");
  } else if (survey.different + survey.missing + survey.newer > 0) {
    outcome->doubt = base::StrCat(survey.different, " rows differ from the list, ", survey.missing,
                                  " are missing, ", survey.newer, " are newer");
  }
  outcome->verified = outcome->doubt.empty();
}

}  // namespace fairlead::endpoint::store
