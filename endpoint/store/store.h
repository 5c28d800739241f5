#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/types.h"
#include "lib/base/clock.h"
#include "lib/sql/database.h"

namespace fairlead::endpoint::store {

class Reader;

struct EnrolmentToken {
  std::string token;  // shown once; the store keeps its SHA-256 only
  int64_t expires_ms = 0;
};

enum class Releasing { kAlways, kIfAnotherWaits };

// The database as one replica of the endpoint uses it, and what is written outside batches: shards,
// terms, enrolment tokens.
//
// Guarantees: every write here is durable when the call returns OK. Open() migrates the
//   schema, or refuses one of a newer major version.
// Threads: one thread (the WriterThread's: use WriterThread::Do); OpenReader() is for any thread,
// once
//   Open() has returned, and each Reader is one thread's.
// Blocks: on the database: its locks, its disk, its network (lib/sql says how long).
// Errors: ResourceExhausted = disk full, Unavailable = busy or I/O error, DataLoss = file damaged,
//   NotFound, InvalidArgument.
// Two processes on one SQLite file: the second Open() is FailedPrecondition.
// Schema: endpoint/store/schema.cc. Rules: DESIGN sections 2, 7 and 11.
class Store {
 public:
  // An SQLite file is created (mode 0600) when there is none. `clock` must outlive the store.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const sql::DatabaseOptions& database,
                                                     const base::Clock* clock);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The store's identity, made with its schema.
  [[nodiscard]] const U128& id() const { return id_; }
  // Of this process: another with each start.
  [[nodiscard]] const std::string& replica() const { return replica_; }
  // Whether several replicas can use it at a time: with a server's database.
  [[nodiscard]] bool shared() const;
  // Store-wide epoch: new shards begin with it.
  [[nodiscard]] uint64_t epoch() const { return epoch_; }

  // Idempotent. Called by the registry at an account's first PUT.
  absl::Status CreateShard(const ShardKey& key);
  absl::StatusOr<ShardState> GetShard(const ShardKey& key);
  // A new term for a grant; everything of earlier terms is fenced off from now on. A shard that
  // another live replica holds stays with it (Term::elsewhere), unless `holder` is the agent that
  // it was granted to. The shard begins a new epoch, and a term greater than any seen, when
  // somebody has `seen` more than there is: the database lost commits. NotFound without
  // CreateShard; Aborted when another replica made a term at the same moment: try again.
  absl::StatusOr<Term> NewTerm(const ShardKey& key, std::string_view holder,
                               const std::vector<Seen>& seen);
  // Gives the shard to whoever waits for it, if this replica holds it under `term` (0: whichever).
  // What this replica has under way for it lands nowhere any more. False: nothing changed.
  absl::StatusOr<bool> Release(const ShardKey& key, uint64_t term, Releasing when);
  // Nobody here wants the shard any more.
  absl::Status StopWaiting(const ShardKey& key);
  // Those that are not as this replica believes: another took them, or the database lost commits.
  absl::StatusOr<std::vector<Held>> Lost(const std::vector<Held>& held);
  // Fences the shard off and takes its rows away: invisible at once, removed by Reap().
  absl::Status DropShardRows(const ShardKey& key);
  // Removes up to `max_rows` rows of dropped kinds, tombstones older than 24 h and old tokens.
  // True when there is more to do.
  absl::StatusOr<bool> Reap(int max_rows);

  // `identity` is who may enrol with it. Lifetime at most 30 days.
  absl::StatusOr<EnrolmentToken> CreateToken(std::string_view identity, base::Duration lifetime);
  // Once, atomically. PermissionDenied when unknown, spent, expired or made for another identity
  // (one message for all: a caller learns nothing from it).
  absl::Status SpendToken(std::string_view token, std::string_view identity);

  // A bearer token for the account's cluster, 256 random bits, told only here. AlreadyExists when
  // the account has one of that name. Zero lifetime = until it is revoked.
  absl::StatusOr<std::string> CreateAccountToken(const U128& account, std::string_view name,
                                                 base::Duration lifetime);
  // False: there was none.
  absl::StatusOr<bool> RevokeAccountToken(const U128& account, std::string_view name);

  absl::StatusOr<std::unique_ptr<Reader>> OpenReader() const;
  // Another connection to the same database, which its user closes.
  absl::StatusOr<std::unique_ptr<sql::Connection>> Connect() const;
  // For Writer and the registry, on the store's thread.
  [[nodiscard]] sql::Connection& connection() { return *connection_; }
  [[nodiscard]] const base::Clock& clock() const { return *clock_; }

 private:
  Store(sql::DatabaseOptions database, std::unique_ptr<sql::Connection> connection,
        const base::Clock* clock);
  static absl::StatusOr<std::unique_ptr<Store>> OpenLocked(const sql::DatabaseOptions& database,
                                                           const base::Clock* clock);
  absl::Status LoadMeta();
  absl::StatusOr<bool> HeldElsewhere(const ShardState& state, std::string_view holder);
  absl::Status Wait(const ShardKey& key);

  const sql::DatabaseOptions database_;
  std::unique_ptr<sql::Connection> connection_;
  const base::Clock* clock_;
  const std::string replica_;
  int lock_ = -1;  // of an SQLite file
  U128 id_;
  uint64_t epoch_ = 0;
};

}  // namespace fairlead::endpoint::store
