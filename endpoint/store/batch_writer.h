#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "endpoint/store/row_plan.h"
#include "endpoint/store/row_table.h"
#include "endpoint/store/types.h"
#include "endpoint/store/writer.h"
#include "lib/json/object_view.h"

namespace fairlead::endpoint::store {

// Errors that are about one row and no more.
bool OfTheRow(const absl::Status& status);

// Applies one batch inside the caller's transaction and savepoint: everything but the fence.
// InvalidArgument and ResourceExhausted as BatchResult says; other errors are the database's.
//
// What a batch does to rows is decided in memory (RowPlan) and written at its end. An entry that
// reads or writes the tables itself needs what is planned to be there: Prepare() names such
// entries.
//
// An error that is about one row (OfTheRow) ends the whole, because a server's transaction takes
// nothing more after it. With Rows::kEachAlone each object is written under a savepoint of its own,
// and one that the database will not take is refused alone.
//
// What it remembers between batches is which keys each snapshot under way has seen. A batch that is
// rolled back and applied again leaves the same behind; what is over is kept until Committed().
class BatchWriter {
 public:
  enum class Rows { kTogether, kEachAlone };
  BatchWriter(sql::Connection* connection, const base::Clock* clock, const WriterOptions& options);
  absl::Status Apply(const Batch& batch, Rows rows, BatchResult* result);
  // What was applied is in the database now.
  void Committed();
  void ForgetShard(const ShardKey& shard);
  [[nodiscard]] size_t snapshot_keys() const;

 private:
  // A watch's position as it is in the transaction.
  struct PositionRow {
    uint64_t history = 0;
    std::string resource_version;
    std::string rules_hash;
    int64_t count = 0;
    U128 sum;
    int64_t fresh_ms = 0;
    int64_t verified_ms = 0;
    std::string anchors;  // as PackAnchors() makes them
    bool changed = false;
  };
  struct KindRow {
    int64_t id = 0;
    Kind kind;
    std::map<std::string, PositionRow> positions;  // by watch
  };
  struct Snapshot {
    std::string resource;  // "resource.group"
    std::string watch;
    uint64_t history = 0;
    uint64_t begin_seq = 0;
    std::string rules_hash;
    bool complete_list = false;
    // The last batch that may speak of it. What is over stays until Committed(), so that a batch
    // that was rolled back finds the same when it is applied again.
    uint64_t last_seq = UINT64_MAX;
    // Content hashes by key. Zero: it is there, and not to be compared: seen live, or refused.
    absl::flat_hash_map<U128, U128> listed;
    uint64_t count = 0;  // of the pages' items
    U128 sum;
    uint64_t comparable = 0;            // hashes that are not zero
    absl::flat_hash_set<U128> doubted;  // keys whose rows claim a later version than the list

    void Listed(const U128& key, const U128& hash, const U128& term);
  };
  // What a snapshot's end finds in the rows.
  struct Survey {
    struct Gone {
      int64_t id;
      ObjectName name;
      bool held;
      bool counted;
      U128 term;
      bool outside = false;  // of the scope
    };
    int64_t rows = 0;   // of the snapshot's watch
    int64_t count = 0;  // of those that its position counts
    U128 sum;
    std::vector<Gone> gone;  // not in the list
    uint64_t different = 0;
    uint64_t missing = 0;
    uint64_t newer = 0;  // not in the list, but newer than it
  };
  // One object to be stored.
  struct Row {
    const std::string* name_space;
    const std::string* name;
    const std::string* uid;
    const std::string* resource_version;
    uint64_t history;
    U128 hash;
    const std::string* application;
    int64_t age_ms;
    const std::string* body;
  };
  enum class Order { kOlder, kSame, kNewer };

  static U128 KeyOf(const Kind& kind, const std::string& name_space, const std::string& name) {
    return base::ObjectKey(kind.group, kind.resource, name_space, name);
  }
  absl::StatusOr<KindRow> LoadKind(int64_t shard_id, const Kind& kind);
  absl::Status LoadPositions(KindRow* kind);
  absl::Status SavePositions(KindRow* kind);
  absl::Status OnEntry(const Batch& batch, const Change& change, BatchResult* result);
  absl::Status OnEntry(const Batch& batch, const Checkpoint& checkpoint, BatchResult* result);
  absl::Status OnEntry(const Batch& batch, const SnapshotBegin& begin, BatchResult* result);
  absl::Status OnEntry(const Batch& batch, const SnapshotPage& page, BatchResult* result);
  absl::Status OnEntry(const Batch& batch, const SnapshotEnd& end, BatchResult* result);
  absl::Status OnEntry(const Batch& batch, const ConfirmHeld& confirm, BatchResult* result);
  absl::Status OnEntry(const Batch& batch, const Rescope& rescope, BatchResult* result);
  absl::Status DropKind(KindRow* kind, BatchResult* result);
  absl::Status DropPositions(KindRow* kind, const std::vector<std::string>& but);
  absl::Status MarkOutside(const ScopeFilter& scope, Survey* survey);
  absl::Status OnItem(const Batch& batch, KindRow* kind, Snapshot* snapshot,
                      const SnapshotItem& item, Want* want, BatchResult* result);
  absl::StatusOr<bool> WrittenBefore(const Snapshot& snapshot, const RowKey& key);
  [[nodiscard]] bool Doubted(const Batch& batch, const KindRow& kind, const U128& key) const;
  absl::Status Upsert(const Batch& batch, KindRow* kind, const Row& row, BatchResult* result);
  absl::StatusOr<bool> StoreOrRefuse(const Batch& batch, const RowKey& key, const StoredRow& row,
                                     const RowContent& content, const Kind& kind,
                                     BatchResult* result);
  // Whether the shard may have another row; if not, it is refused.
  absl::StatusOr<bool> Room(const Batch& batch, const KindRow& kind, const ObjectName& object,
                            BatchResult* result);
  absl::Status Delete(const Batch& batch, KindRow* kind, const Change& change, BatchResult* result);
  absl::StatusOr<Survey> SurveyRows(const KindRow& kind, const Snapshot& snapshot,
                                    const std::string& version);
  absl::StatusOr<uint64_t> BuriedSince(const KindRow& kind, const Snapshot& snapshot,
                                       const std::string& version);
  absl::Status Sweep(const Batch& batch, KindRow* kind, const Snapshot& snapshot,
                     const std::string& version, Survey* survey, SnapshotOutcome* outcome);
  static void Judge(const Snapshot& snapshot, const SnapshotEnd& end, const Survey& survey,
                    const PositionRow& running, SnapshotOutcome* outcome);
  static bool Counts(const KindRow& kind, const std::string& watch, std::string_view name_space);
  static bool NewerVersion(uint64_t history, const std::string& version, uint64_t other_history,
                           const std::string& other_version);

  // Before an entry: reads ahead what it and those behind it speak of; before one that looks at the
  // tables itself, writes what is planned.
  absl::Status Prepare(const Batch& batch, size_t entry);
  // Writes what is planned, and begins the plan anew.
  absl::Status Flush(const Batch& batch);
  // As the entries before this one left it.
  absl::StatusOr<RowState> Find(const RowKey& key);
  static bool BuriedLater(const RowState& state, uint64_t history, const std::string& version);
  void MarkSeen(const Batch& batch, const KindRow& kind, const U128& key);
  absl::StatusOr<KindRow*> KindAt(uint32_t index);
  Snapshot* FindSnapshot(const Batch& batch, const U128& id);
  KindRow* KindOf(const Snapshot& snapshot);  // null when this batch does not name it
  static PositionRow* PositionOf(KindRow* kind, const std::string& name_space);
  // A watch's own, new if there is none.
  static absl::StatusOr<PositionRow*> PositionFor(KindRow* kind, const std::string& watch);
  absl::StatusOr<int64_t> CountKinds(int64_t shard_id);
  absl::StatusOr<int64_t> CountRows();
  static Order Compare(uint64_t history, const std::string& version, uint64_t other_history,
                       const std::string& other_version);

  sql::Connection* connection_;
  const base::Clock* clock_;
  WriterOptions options_;
  RowTable table_;
  json::ObjectReader objects_;
  const std::string put_position_;  // the database's own text
  Rows rows_ = Rows::kTogether;
  RowPlan plan_;                // of the batch under way: what is not written yet
  std::vector<KindRow> kinds_;  // of the batch under way
  int64_t shard_id_ = 0;        // likewise
  int64_t added_ = 0;           // rows, likewise
  // How many rows a shard may still get before they are counted again.
  std::map<ShardKey, int64_t> room_;
  std::map<std::pair<ShardKey, U128>, Snapshot> snapshots_;
};

}  // namespace fairlead::endpoint::store
