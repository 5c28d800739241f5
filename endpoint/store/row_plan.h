#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "endpoint/store/types.h"

namespace fairlead::endpoint::store {

struct RowKey {
  int64_t kind_id = 0;
  ObjectName object;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer.
  friend auto operator<=>(const RowKey&, const RowKey&) = default;
};

// A stored object, as far as deciding needs it.
struct StoredRow {
  int64_t id = 0;  // 0: not in the table yet
  std::string uid;
  uint64_t history = 0;
  std::string resource_version;
  U128 hash;
  bool held = false;
};

struct Tombstone {
  uint64_t history = 0;
  std::string resource_version;
  friend bool operator==(const Tombstone&, const Tombstone&) = default;
};

// What the tables hold of one key.
struct RowState {
  std::optional<StoredRow> row;
  std::optional<Tombstone> tombstone;
};

// The columns of a row that deciding does not need. The text is the batch's.
struct RowContent {
  U128 object_key;
  const std::string* application = nullptr;
  const std::string* body = nullptr;  // not compressed
  int64_t changed_ms = 0;
};

// What leads from the tables to the plan, each list in order of its keys: two writers of the same
// rows meet in the same order. Pointers are into the plan.
struct RowWrites {
  struct Put {
    const RowKey* key;
    const StoredRow* row;
    const RowContent* content;
  };
  struct Bury {
    const RowKey* key;
    const Tombstone* tombstone;
  };
  std::vector<int64_t> removed;             // ids of rows that go
  std::vector<Put> put;                     // rows that come or get new content
  std::vector<const StoredRow*> confirmed;  // rows of which only history, version, held change
  std::vector<Bury> buried;                 // tombstones that come or change
  std::vector<const RowKey*> dug_up;        // tombstones that go
};

// The rows that a batch speaks of, as the tables hold them, and laid over that what the batch did
// to them so far: a later entry sees what those before it did, and each row is written once.
//
// Pure: somebody else reads the tables (row_table.h) and writes what comes out.
// Memory: that of the batch's keys.
class RowPlan {
 public:
  // What the tables hold of a key. A plan for it is dropped.
  void Load(const RowKey& key, RowState state);
  [[nodiscard]] bool Has(const RowKey& key) const { return entries_.contains(key); }
  // As planned. The key must be there.
  [[nodiscard]] const RowState& State(const RowKey& key) const { return entries_.at(key).planned; }

  // A row with new content (its id is that of the stored one); no tombstone any more.
  void Put(const RowKey& key, StoredRow row, const RowContent& content);
  // The row is what the cluster has: not held, and with the version it has in a newer history.
  void Confirm(const RowKey& key, uint64_t history, const std::string& version);
  // The row is of another version than it says.
  void SetVersion(const RowKey& key, uint64_t history, const std::string& version);
  // Whether the row gets new content.
  [[nodiscard]] bool HasContent(const RowKey& key) const {
    return entries_.at(key).content.has_value();
  }
  // A tombstone instead of the row. The key need not be there.
  void Bury(const RowKey& key, Tombstone tombstone);

  // Ends with the next call of anything else.
  [[nodiscard]] RowWrites Writes() const;
  void Clear() { entries_.clear(); }

 private:
  struct Entry {
    RowState stored;
    RowState planned;
    std::optional<RowContent> content;
  };
  std::map<RowKey, Entry> entries_;
};

}  // namespace fairlead::endpoint::store
