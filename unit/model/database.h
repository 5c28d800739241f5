#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "endpoint/store/types.h"

namespace fairlead::model {

namespace store = endpoint::store;

// What a replica's writer keeps between batches: the keys that each snapshot under way has seen.
struct WriterMemory {
  struct Snapshot {
    uint64_t history = 0;
    uint64_t begin_seq = 0;
    bool complete_list = false;
    std::set<std::string> seen;  // names
  };
  std::map<base::U128, Snapshot> snapshots;
};

// The tables of one shard with one watch, by the rules of endpoint/store, so small that a state of
// the model can hold it: a step of the search is 10 us, the same operation on SQLite 0.3 ms and a
// file that cannot be copied at each fork. real_store.h proves by the same operations on SQLite
// that the rules are the same. Not modelled: refused rows, held rows, bounds.
class Database {
 public:
  struct Row {
    std::string uid;
    uint64_t history = 0;
    std::string version;
    base::U128 hash;
    uint64_t seq = 0;
    friend bool operator==(const Row&, const Row&) = default;
  };
  struct Grave {
    uint64_t history = 0;
    std::string version;
  };
  struct Position {
    uint64_t history = 0;
    std::string version;
    std::vector<store::Anchor> anchors;
  };

  // As Writer::Write() of one batch: all of it, or nothing.
  store::BatchResult Write(const store::Batch& batch, WriterMemory* memory);
  // Store::NewTerm() is this read and, behind whatever others did since, this write. False: the row
  // is not what was read any more.
  [[nodiscard]] const store::ShardState& shard() const { return shard_; }
  bool TakeTerm(const store::ShardState& read, const std::vector<store::Seen>& seen, int replica,
                int agent, store::Term* term);
  // Store::Lost(): whether a grant is as its replica believes.
  [[nodiscard]] bool Has(const store::Seen& held) const;
  [[nodiscard]] std::vector<store::Position> Positions() const;

  [[nodiscard]] const std::map<std::string, Row>& rows() const { return rows_; }
  [[nodiscard]] const std::map<std::string, Grave>& graves() const { return graves_; }
  [[nodiscard]] const std::optional<Position>& position() const { return position_; }
  // Who took the term last.
  [[nodiscard]] int owner() const { return owner_; }
  [[nodiscard]] int holder() const { return holder_; }

  void Print(std::string* out) const;

 private:
  enum class Order { kOlder, kSame, kNewer };
  static Order Compare(uint64_t history, const std::string& version, uint64_t other_history,
                       const std::string& other_version);
  absl::Status On(const store::Batch& batch, const store::Change& change, WriterMemory* memory,
                  store::BatchResult* result);
  absl::Status On(const store::Batch& batch, const store::Checkpoint& checkpoint,
                  WriterMemory* memory, store::BatchResult* result);
  absl::Status On(const store::Batch& batch, const store::SnapshotBegin& begin,
                  WriterMemory* memory, store::BatchResult* result);
  absl::Status On(const store::Batch& batch, const store::SnapshotPage& page, WriterMemory* memory,
                  store::BatchResult* result);
  absl::Status On(const store::Batch& batch, const store::SnapshotEnd& end, WriterMemory* memory,
                  store::BatchResult* result);
  absl::Status On(const store::Batch& batch, const store::ConfirmHeld& confirm,
                  WriterMemory* memory, store::BatchResult* result);
  absl::Status On(const store::Batch& batch, const store::Rescope& rescope, WriterMemory* memory,
                  store::BatchResult* result);
  void Upsert(const std::string& name, Row row, WriterMemory* memory, store::BatchResult* result);
  [[nodiscard]] bool BuriedLater(const std::string& name, uint64_t history,
                                 const std::string& version) const;

  store::ShardState shard_{.epoch = 1};
  int owner_ = -1;   // replica
  int holder_ = -1;  // agent
  std::map<std::string, Row> rows_;
  std::map<std::string, Grave> graves_;
  std::optional<Position> position_;
};

}  // namespace fairlead::model
