#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/types.h"

namespace fairlead::sql {
class Connection;
}

namespace fairlead::endpoint::store {

// A replica as its row says.
struct ReplicaRow {
  std::string id;
  uint64_t beat = 0;   // another with every beat
  uint64_t board = 0;  // version of what it last said of its agents
};

// What changed since another look: of the registry, and of shards that nobody holds any more.
struct Counters {
  uint64_t registry = 0;
  uint64_t released = 0;
  friend bool operator==(const Counters&, const Counters&) = default;
};

// What a replica says of one account's agents, as text.
struct BoardRow {
  U128 account;
  std::string live;
};

// The tables that replicas share (endpoint/store/schema.cc), as one of them uses them: over a
// connection of its own, so that a beat waits for no batch.
//
// Threads: one at a time. Blocks on the database. Errors: those of lib/sql; nothing is half done.
class ReplicaRows {
 public:
  ReplicaRows(std::unique_ptr<sql::Connection> connection, std::string self);
  ~ReplicaRows();

  // Writes this replica's row. False: there was none, as at the start, or after others held it for
  // dead; then its shards may be theirs, and what it said and waited for is forgotten.
  absl::StatusOr<bool> Beat(uint64_t beat);
  absl::StatusOr<std::vector<ReplicaRow>> Replicas();
  absl::StatusOr<Counters> ReadCounters();
  // Takes out a replica whose beat is still `dead.beat`; its shards are free then.
  absl::Status Bury(const ReplicaRow& dead);
  // This replica goes: its shards are free at once.
  absl::Status Leave();
  // Shards that this replica waits for and no live replica holds.
  absl::StatusOr<std::vector<ShardKey>> Free();
  // Writes what is said of accounts' agents ("" = nothing any more), under the next version: no
  // version comes twice, also after others held this replica for dead, and heard of it up to one.
  absl::Status SaveBoard(const std::vector<BoardRow>& rows);
  // What `replica` said after `version`.
  absl::StatusOr<std::vector<BoardRow>> BoardSince(const std::string& replica, uint64_t version);

 private:
  absl::Status Remove(const std::string& replica);

  std::unique_ptr<sql::Connection> connection_;
  const std::string self_;
  uint64_t said_ = 0;  // the highest version that may have been written
};

}  // namespace fairlead::endpoint::store
