#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/types.h"
#include "lib/base/clock.h"

namespace fairlead::sql {
class Connection;
}

namespace fairlead::endpoint::store {

class Reader;

struct StoreOptions {
  std::string path;            // SQLite file
  int64_t max_pages = 0;       // limit of the file in pages, for tests of a full disk; 0 = none
  int busy_timeout_ms = 5000;  // how long to wait for another process's write
};

struct EnrolmentToken {
  std::string token;  // shown once; the store keeps its SHA-256 only
  int64_t expires_ms = 0;
};

// The database of one endpoint, and what is written outside batches: shards, terms, enrolment
// tokens.
//
// Guarantees: every write here is durable (fsync) when the call returns OK. Open() migrates the
//   schema, or refuses a file of a newer major version.
// Threads: one thread (the WriterThread's: use WriterThread::Do); OpenReader() is for any thread,
// once
//   Open() has returned, and each Reader is one thread's.
// Blocks: on the disk, and up to busy_timeout_ms on another process.
// Errors: ResourceExhausted = disk full, Unavailable = busy or I/O error, DataLoss = file damaged,
//   NotFound, InvalidArgument.
// Schema: endpoint/store/schema.cc. Rules: DESIGN sections 2, 7 and 11.
class Store {
 public:
  // Creates the file (mode 0600) when there is none. `clock` must outlive the store.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options,
                                                     const base::Clock* clock);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The store's identity, made with the file.
  [[nodiscard]] const U128& id() const { return id_; }
  // Store-wide epoch: new shards begin with it.
  [[nodiscard]] uint64_t epoch() const { return epoch_; }

  // Idempotent. Called by the registry at an account's first PUT.
  absl::Status CreateShard(const ShardKey& key);
  absl::StatusOr<ShardState> GetShard(const ShardKey& key);
  // A new term for a grant; everything of earlier terms is fenced off from now on. `raise_epoch`
  // when the agent saw more of the shard than the store has (lost commits). NotFound without
  // CreateShard.
  absl::StatusOr<ShardState> NewTerm(const ShardKey& key, std::string_view holder,
                                     bool raise_epoch);
  // Fences the shard off and takes its rows away: invisible at once, removed from the file by
  // Reap().
  absl::Status DropShardRows(const ShardKey& key);
  // Removes up to `max_rows` rows of dropped kinds, tombstones older than 24 h and old tokens.
  // True when there is more to do.
  absl::StatusOr<bool> Reap(int max_rows);

  // `identity` is who may enrol with it. Lifetime at most 30 days.
  absl::StatusOr<EnrolmentToken> CreateToken(std::string_view identity, base::Duration lifetime);
  // Once, atomically. PermissionDenied when unknown, spent, expired or made for another identity
  // (one message for all: a caller learns nothing from it).
  absl::Status SpendToken(std::string_view token, std::string_view identity);

  absl::StatusOr<std::unique_ptr<Reader>> OpenReader() const;
  // For Writer and the registry, on the store's thread.
  [[nodiscard]] sql::Connection& connection() { return *connection_; }
  [[nodiscard]] const base::Clock& clock() const { return *clock_; }

 private:
  Store(StoreOptions options, std::unique_ptr<sql::Connection> connection,
        const base::Clock* clock);
  absl::Status LoadMeta();

  StoreOptions options_;
  std::unique_ptr<sql::Connection> connection_;
  const base::Clock* clock_;
  U128 id_;
  uint64_t epoch_ = 0;
};

}  // namespace fairlead::endpoint::store
