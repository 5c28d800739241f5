#include "endpoint/store/snapshots.h"

namespace fairlead::endpoint::store {
namespace {

Snapshot WithoutKeys(const Snapshot& from) {
  return {.id = from.id,
          .shard = from.shard,
          .kind = from.kind,
          .watch = from.watch,
          .history = from.history,
          .rules_hash = from.rules_hash,
          .complete_list = from.complete_list,
          .begin_seq = from.begin_seq,
          .listed = from.listed,
          .listed_sum = from.listed_sum,
          .seen = {}};
}

}  // namespace

Snapshot* Snapshots::Find(int64_t shard, const U128& id) {
  const auto found = active_.find({shard, id});
  return found == active_.end() ? nullptr : &found->second;
}

bool Snapshots::Active(int64_t shard, int64_t kind) const {
  for (auto it = active_.lower_bound({shard, U128{}}); it != active_.end(); ++it) {
    if (it->first.first != shard) break;
    if (it->second.kind == kind) return true;
  }
  return false;
}

bool Snapshots::Active(int64_t shard, int64_t kind, const std::string& watch) const {
  for (auto it = active_.lower_bound({shard, U128{}}); it != active_.end(); ++it) {
    if (it->first.first != shard) break;
    if (it->second.kind == kind && it->second.watch == watch) return true;
  }
  return false;
}

void Snapshots::ForEach(int64_t shard, int64_t kind, const std::string& name_space,
                        const std::function<void(Snapshot&)>& visit) {
  for (auto it = active_.lower_bound({shard, U128{}}); it != active_.end(); ++it) {
    if (it->first.first != shard) break;
    Snapshot& snapshot = it->second;
    if (snapshot.kind != kind) continue;
    if (snapshot.watch.empty() || snapshot.watch == name_space) visit(snapshot);
  }
}

void Snapshots::Begin(Snapshot snapshot) {
  std::vector<Snapshot*> replaced;
  for (auto& [key, other] : active_) {
    const bool same = other.kind == snapshot.kind && other.watch == snapshot.watch;
    if (key.first == snapshot.shard && (same || other.id == snapshot.id)) replaced.push_back(&other);
  }
  for (Snapshot* other : replaced) End(*other);
  const Key key{snapshot.shard, snapshot.id};
  undo_.push_back({.key = key, .existed = false, .before = {}, .seen_size = 0, .seen = {}});
  active_[key] = std::move(snapshot);
}

void Snapshots::Save(Snapshot& snapshot) {
  const Key key{snapshot.shard, snapshot.id};
  undo_.push_back({.key = key,
                   .existed = true,
                   .before = WithoutKeys(snapshot),
                   .seen_size = snapshot.seen.size(),
                   .seen = {}});
}

void Snapshots::See(Snapshot& snapshot, const U128& key) {
  // A run of keys in one snapshot needs one entry: the first remembers the size before all of them.
  const bool saved = !undo_.empty() && undo_.back().key == Key{snapshot.shard, snapshot.id} &&
                     undo_.back().existed && !undo_.back().ended;
  if (!saved) Save(snapshot);
  snapshot.seen.push_back(key);
  ++keys_;
}

void Snapshots::Count(Snapshot& snapshot, const U128& term) {
  ++snapshot.listed;
  snapshot.listed_sum += term;
}

void Snapshots::End(Snapshot& snapshot) {
  Save(snapshot);
  keys_ -= snapshot.seen.size();
  undo_.back().ended = true;
  undo_.back().seen = std::move(snapshot.seen);
  active_.erase(undo_.back().key);
}

void Snapshots::Forget(int64_t shard) {
  for (auto it = active_.lower_bound({shard, U128{}});
       it != active_.end() && it->first.first == shard;) {
    keys_ -= it->second.seen.size();
    it = active_.erase(it);
  }
}

void Snapshots::RollbackTo(size_t mark) {
  while (undo_.size() > mark) {
    Undo undo = std::move(undo_.back());
    undo_.pop_back();
    if (!undo.existed) {
      if (const auto found = active_.find(undo.key); found != active_.end()) {
        keys_ -= found->second.seen.size();
        active_.erase(found);
      }
      continue;
    }
    std::vector<U128> seen;
    if (undo.ended) {
      seen = std::move(undo.seen);
      keys_ += seen.size();
    } else {
      seen = std::move(active_[undo.key].seen);
    }
    keys_ -= seen.size() - undo.seen_size;
    seen.resize(undo.seen_size);
    undo.before.seen = std::move(seen);
    active_[undo.key] = std::move(undo.before);
  }
}

}  // namespace fairlead::endpoint::store
