#include "unit/model/database.h"

#include <algorithm>
#include <utility>

#include "lib/base/resource_version.h"
#include "lib/base/strings.h"

namespace fairlead::model {

Database::Order Database::Compare(uint64_t history, const std::string& version,
                                  uint64_t other_history, const std::string& other_version) {
  if (history != other_history) return history < other_history ? Order::kOlder : Order::kNewer;
  if (version == other_version) return Order::kSame;
  const auto order = base::CompareResourceVersions(version, other_version);
  return order && *order < 0 ? Order::kOlder : Order::kNewer;
}

store::BatchResult Database::Write(const store::Batch& batch, WriterMemory* memory) {
  store::BatchResult result;
  Database after = *this;
  WriterMemory remembered = *memory;
  for (const store::Entry& entry : batch.entries) {
    result.status = std::visit(
        [&](const auto& one) { return after.On(batch, one, &remembered, &result); }, entry);
    if (!result.status.ok()) return result;
  }
  if (batch.epoch != shard_.epoch || batch.term != shard_.term ||
      batch.seq != shard_.last_seq + 1) {
    result = {};
    result.status = absl::AbortedError("fenced off");
    return result;
  }
  after.shard_.last_seq = batch.seq;
  *this = std::move(after);
  *memory = std::move(remembered);
  return result;
}

bool Database::BuriedLater(const std::string& name, uint64_t history,
                           const std::string& version) const {
  const auto grave = graves_.find(name);
  return grave != graves_.end() &&
         Compare(history, version, grave->second.history, grave->second.version) != Order::kNewer;
}

void Database::Upsert(const std::string& name, Row row, WriterMemory* memory,
                      store::BatchResult* result) {
  for (auto& [id, snapshot] : memory->snapshots) snapshot.seen.insert(name);
  const auto stored = rows_.find(name);
  if (stored != rows_.end()) {
    Row& old = stored->second;
    if (Compare(row.history, row.version, old.history, old.version) == Order::kOlder) {
      ++result->outdated;
      return;
    }
    if (old.hash == row.hash && old.uid == row.uid) {
      ++result->unchanged;
      if (row.history > old.history) old = {old.uid, row.history, row.version, old.hash, old.seq};
      return;
    }
  } else if (BuriedLater(name, row.history, row.version)) {
    ++result->outdated;
    return;
  }
  rows_[name] = std::move(row);
  graves_.erase(name);
  ++result->written;
}

absl::Status Database::On(const store::Batch& batch, const store::Change& change,
                          WriterMemory* memory, store::BatchResult* result) {
  if (change.upsert) {
    Upsert(change.name,
           {change.uid, change.history, change.resource_version, change.content_hash, batch.seq},
           memory, result);
    return absl::OkStatus();
  }
  const auto stored = rows_.find(change.name);
  if (stored != rows_.end()) {
    if (Compare(change.history, change.resource_version, stored->second.history,
                stored->second.version) == Order::kOlder) {
      ++result->outdated;
      return absl::OkStatus();
    }
    rows_.erase(stored);
    ++result->deleted;
  }
  if (BuriedLater(change.name, change.history, change.resource_version)) {
    ++result->outdated;
    return absl::OkStatus();
  }
  graves_[change.name] = {change.history, change.resource_version};
  return absl::OkStatus();
}

absl::Status Database::On(const store::Batch&, const store::Checkpoint& checkpoint, WriterMemory*,
                          store::BatchResult*) {
  Position& position = position_ ? *position_ : position_.emplace();
  if (Compare(checkpoint.history, checkpoint.resource_version, position.history,
              position.version) == Order::kOlder) {
    return absl::OkStatus();
  }
  position = {checkpoint.history, checkpoint.resource_version, checkpoint.anchors};
  return absl::OkStatus();
}

absl::Status Database::On(const store::Batch& batch, const store::SnapshotBegin& begin,
                          WriterMemory* memory, store::BatchResult*) {
  memory->snapshots.clear();  // of this watch, which is the only one
  memory->snapshots[begin.snapshot_id] = {begin.history, batch.seq, begin.complete_list, {}};
  Position& position = position_ ? *position_ : position_.emplace();
  if (begin.history > position.history) position = {begin.history, "", {}};
  return absl::OkStatus();
}

absl::Status Database::On(const store::Batch& batch, const store::SnapshotPage& page,
                          WriterMemory* memory, store::BatchResult* result) {
  const auto snapshot = memory->snapshots.find(page.snapshot_id);
  if (snapshot == memory->snapshots.end()) return absl::InvalidArgumentError("no such snapshot");
  store::Want want{page.snapshot_id, {}};
  for (const store::SnapshotItem& item : page.items) {
    snapshot->second.seen.insert(item.name);
    const uint64_t history = snapshot->second.history;
    if (item.has_body) {
      Upsert(item.name, {item.uid, history, item.resource_version, item.content_hash, batch.seq},
             memory, result);
      continue;
    }
    const auto stored = rows_.find(item.name);
    if (stored != rows_.end()) {
      Row& row = stored->second;
      if (row.hash == item.content_hash && row.uid == item.uid) {
        ++result->unchanged;
        if (history > row.history)
          row = {row.uid, history, item.resource_version, row.hash, row.seq};
        continue;
      }
      if (Compare(history, item.resource_version, row.history, row.version) == Order::kOlder) {
        ++result->outdated;
        continue;
      }
    } else if (BuriedLater(item.name, history, item.resource_version)) {
      continue;
    }
    want.names.push_back({item.name_space, item.name});
  }
  result->wants.push_back(std::move(want));
  return absl::OkStatus();
}

absl::Status Database::On(const store::Batch&, const store::SnapshotEnd& end, WriterMemory* memory,
                          store::BatchResult* result) {
  const auto found = memory->snapshots.find(end.snapshot_id);
  if (found == memory->snapshots.end()) return absl::InvalidArgumentError("no such snapshot");
  const WriterMemory::Snapshot snapshot = std::move(found->second);
  memory->snapshots.erase(found);
  store::SnapshotOutcome outcome;
  outcome.snapshot_id = end.snapshot_id;
  if (snapshot.complete_list && !end.incomplete) {
    for (auto row = rows_.begin(); row != rows_.end();) {
      if (row->second.seq >= snapshot.begin_seq || snapshot.seen.contains(row->first)) {
        ++row;
        continue;
      }
      graves_[row->first] = {snapshot.history, end.resource_version};
      row = rows_.erase(row);
      ++outcome.deleted;
    }
  }
  result->deleted += outcome.deleted;
  Position& position = position_ ? *position_ : position_.emplace();
  if (Compare(snapshot.history, end.resource_version, position.history, position.version) !=
      Order::kOlder) {
    position = {snapshot.history, end.resource_version, {}};
  }
  result->ended.push_back(outcome);
  return absl::OkStatus();
}

absl::Status Database::On(const store::Batch&, const store::ConfirmHeld&, WriterMemory*,
                          store::BatchResult*) {
  return absl::UnimplementedError("nothing is held here");
}

absl::Status Database::On(const store::Batch&, const store::Rescope&, WriterMemory*,
                          store::BatchResult*) {
  return absl::UnimplementedError("the scope is always the same here");
}

bool Database::TakeTerm(const store::ShardState& read, const std::vector<store::Seen>& seen,
                        int replica, int agent, store::Term* term) {
  if (read.term != shard_.term || read.epoch != shard_.epoch) return false;
  const store::ShardState before = shard_;
  for (const store::Seen& one : seen) {
    const bool behind = one.epoch == before.epoch
                            ? one.seq > before.last_seq || one.term > before.term
                            : one.epoch > before.epoch;
    if (!behind) continue;
    term->lost_commits = true;
    shard_.epoch = std::max(shard_.epoch, one.epoch);
    shard_.term = std::max(shard_.term, one.term);
  }
  shard_.term += 1;
  shard_.epoch += term->lost_commits ? 1 : 0;
  owner_ = replica;
  holder_ = agent;
  term->state = shard_;
  term->positions = Positions();
  return true;
}

bool Database::Has(const store::Seen& held) const {
  return shard_.epoch == held.epoch && shard_.term == held.term && shard_.last_seq >= held.seq;
}

std::vector<store::Position> Database::Positions() const {
  if (!position_) return {};
  store::Position position;
  position.kind = {"", "pods", "Pod", "v1", true};
  position.history = position_->history;
  position.resource_version = position_->version;
  position.count = rows_.size();
  position.anchors = position_->anchors;
  position.anchors_at_position = !position.anchors.empty();
  if (position.anchors.empty()) {
    std::vector<std::pair<std::pair<uint64_t, uint64_t>, std::string>> newest;
    for (const auto& [name, row] : rows_) {
      newest.push_back({{row.seq, std::stoull(row.version)}, name});
    }
    std::sort(newest.rbegin(), newest.rend());
    for (size_t i = 0; i < newest.size() && i < 4; ++i) {
      const Row& row = rows_.at(newest[i].second);
      position.anchors.push_back({{"ns", newest[i].second}, row.uid, row.version});
    }
  }
  return {position};
}

void Database::Print(std::string* out) const {
  out->append(base::StrCat("e", shard_.epoch, "t", shard_.term, "s", shard_.last_seq));
  for (const auto& [name, row] : rows_) {
    out->append(
        base::StrCat(" ", name, "=", row.uid, "@", row.history, ".", row.version, "#", row.seq));
  }
  for (const auto& [name, grave] : graves_) {
    out->append(base::StrCat(" -", name, "@", grave.history, ".", grave.version));
  }
  if (!position_) return;
  out->append(base::StrCat(" at ", position_->history, ".", position_->version));
  for (const store::Anchor& anchor : position_->anchors) {
    out->append(base::StrCat(",", anchor.object.name, "@", anchor.resource_version));
  }
}

}  // namespace fairlead::model
