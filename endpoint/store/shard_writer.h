#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/compressor.h"
#include "endpoint/store/snapshots.h"
#include "endpoint/store/types.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

// Applies one batch inside an open transaction: rows, tombstones, positions, snapshots. No fence, no
// commit: Writer's. Made anew for each batch, so that nothing it read outlives a rollback.
//
// Returns InvalidArgument or OutOfRange when the batch is to blame, another error when the database is.
class ShardWriter {
 public:
  struct Context {
    sql::Connection* db;
    Snapshots* snapshots;
    Compressor* compressor;
    size_t max_snapshot_keys;
    int64_t now_ms;  // wall clock
  };
  ShardWriter(const Context& context, int64_t shard, const Batch& batch, BatchResult* result);
  absl::Status Apply();

 private:
  struct PositionRow {
    std::string watch;
    uint64_t history = 0;
    std::string resource_version;
    std::string rules_hash;
    uint64_t count = 0;
    U128 sum;
    int64_t fresh_ms = 0;
    int64_t verified_ms = 0;
    bool dirty = false;
  };
  struct KindRow {
    int64_t id = 0;
    const Kind* kind = nullptr;
    std::vector<PositionRow> positions;
  };
  // What an upsert of a change and of a page item have in common.
  struct Upsert {
    std::string_view name_space, name, uid, resource_version, application, body;
    uint64_t history;
    U128 content_hash;
    int64_t age_ms;
    bool has_body;
    uint64_t page_begin_seq;  // 0: a live change
  };
  struct ObjectRow {
    int64_t id = 0;
    uint64_t history = 0;
    std::string resource_version;
    U128 content_hash;
    uint64_t seq = 0;
    bool held = false;
  };
  enum class Effect { kDone, kUnchanged, kOutdated, kWanted };

  absl::Status Apply(const Change& change);
  absl::Status Apply(const Checkpoint& checkpoint);
  absl::Status Apply(const SnapshotBegin& begin);
  absl::Status Apply(const SnapshotPage& page);
  absl::Status Apply(const SnapshotEnd& end);

  absl::StatusOr<KindRow*> LoadKind(uint32_t index);
  absl::Status LoadPositions(KindRow& row);
  absl::StatusOr<PositionRow*> NeedPosition(KindRow& row, const std::string& watch);
  absl::Status SavePositions();
  static PositionRow* FindPosition(KindRow& row, std::string_view watch);
  KindRow* KindById(int64_t id);
  static void Adjust(KindRow& row, std::string_view name_space, int count, const U128& add,
                     const U128& subtract);

  absl::StatusOr<std::optional<ObjectRow>> FindObject(const KindRow& kind, std::string_view name_space,
                                                      std::string_view name);
  absl::StatusOr<Effect> Put(KindRow& kind, const U128& key, const Upsert& upsert);
  absl::StatusOr<Effect> PutOver(KindRow& kind, const U128& key, const ObjectRow& old,
                                 const Upsert& upsert);
  absl::StatusOr<Effect> PutNew(KindRow& kind, const U128& key, const Upsert& upsert);
  absl::StatusOr<bool> Buried(const KindRow& kind, const Upsert& upsert);
  absl::Status Delete(KindRow& kind, const U128& key, const Change& change);
  absl::Status Bury(const KindRow& kind, std::string_view name_space, std::string_view name,
                    uint64_t history, std::string_view resource_version);
  absl::Status See(Snapshot& snapshot, const U128& key);

  struct Unseen {
    int64_t id;
    ObjectName object;
    U128 key;
    U128 content_hash;
  };
  absl::StatusOr<std::vector<Unseen>> FindUnseen(Snapshot& snapshot);
  absl::Status RemoveUnseen(KindRow& kind, const Snapshot& snapshot, const SnapshotEnd& end,
                            SnapshotOutcome* outcome);
  absl::Status Verify(KindRow& kind, PositionRow& position, const SnapshotEnd& end, bool complete,
                      SnapshotOutcome* outcome);
  void Refuse(const KindRow& kind, std::string_view name_space, std::string_view name,
              std::string_view reason);

  Context context_;
  sql::Connection& db_;
  int64_t shard_;
  const Batch& batch_;
  BatchResult* result_;
  std::map<uint32_t, KindRow> kinds_;
};

// Count and sum of the rows of a kind and watch, from the rows themselves.
struct RowSums {
  uint64_t count = 0;
  U128 sum;
};
absl::StatusOr<RowSums> SumRows(sql::Connection& db, int64_t kind, std::string_view watch);

}  // namespace fairlead::endpoint::store
