#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "endpoint/store/types.h"

namespace fairlead::endpoint::store {

// One snapshot between Begin and End.
struct Snapshot {
  U128 id;
  int64_t shard = 0;  // row of table shards
  int64_t kind = 0;   // row of table kinds
  std::string watch;
  uint64_t history = 0;
  std::string rules_hash;
  bool complete_list = false;
  uint64_t begin_seq = 0;
  uint64_t listed = 0;  // items of the pages, and their sum: must equal what End states
  U128 listed_sum;
  std::vector<U128> seen;
};

// The snapshots under way, with an undo log that follows the SQL transaction: what a rolled back batch
// did here is undone too. Memory: 16 bytes a key. Threads: one.
class Snapshots {
 public:
  Snapshot* Find(int64_t shard, const U128& id);
  // True when a snapshot of the kind is under way, of whatever watch.
  [[nodiscard]] bool Active(int64_t shard, int64_t kind) const;
  [[nodiscard]] bool Active(int64_t shard, int64_t kind, const std::string& watch) const;
  // Calls `visit` for each snapshot under way that covers the namespace.
  void ForEach(int64_t shard, int64_t kind, const std::string& name_space,
               const std::function<void(Snapshot&)>& visit);

  // Replaces one of the same kind and watch.
  void Begin(Snapshot snapshot);
  void See(Snapshot& snapshot, const U128& key);
  void Count(Snapshot& snapshot, const U128& term);
  void End(Snapshot& snapshot);
  void Forget(int64_t shard);

  [[nodiscard]] size_t Mark() const { return undo_.size(); }
  void RollbackTo(size_t mark);
  void Commit() { undo_.clear(); }
  [[nodiscard]] size_t keys() const { return keys_; }

 private:
  using Key = std::pair<int64_t, U128>;
  void Save(Snapshot& snapshot);

  struct Undo {
    Key key;
    bool existed;
    Snapshot before;  // without `seen`
    size_t seen_size = 0;
    std::vector<U128> seen;  // only when the snapshot ended
    bool ended = false;
  };
  std::map<Key, Snapshot> active_;
  std::vector<Undo> undo_;
  size_t keys_ = 0;
};

}  // namespace fairlead::endpoint::store
