#include "endpoint/store/replica_rows.h"

#include <algorithm>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {
namespace {

// Runs `work` in a transaction that need not survive power loss: all of this is said again.
template <typename Work>
absl::Status Together(sql::Connection& db, Work&& work) {
  FAIRLEAD_RETURN_IF_ERROR(db.SetDurability(sql::Durability::kNormal));
  sql::Transaction transaction(&db);
  FAIRLEAD_RETURN_IF_ERROR(transaction.Begin());
  FAIRLEAD_RETURN_IF_ERROR(work());
  return transaction.Commit();
}

}  // namespace

ReplicaRows::ReplicaRows(std::unique_ptr<sql::Connection> connection, std::string self)
    : connection_(std::move(connection)), self_(std::move(self)) {}

ReplicaRows::~ReplicaRows() = default;

absl::StatusOr<bool> ReplicaRows::Beat(uint64_t beat) {
  bool known = false;
  FAIRLEAD_RETURN_IF_ERROR(Together(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const int64_t hit,
        sql::Run(*connection_, "UPDATE replicas SET beat = ? WHERE id = ?", beat, self_));
    known = hit == 1;
    if (known) return absl::OkStatus();
    return sql::Run(*connection_, "INSERT INTO replicas (id, beat, board) VALUES (?, ?, ?)", self_,
                    beat, said_)
        .status();
  }));
  return known;
}

absl::StatusOr<std::vector<ReplicaRow>> ReplicaRows::Replicas() {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection_->Prepare("SELECT id, beat, board FROM replicas"));
  std::vector<ReplicaRow> rows;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return rows;
    rows.push_back({std::string(query->Text(0)), static_cast<uint64_t>(query->Int(1)),
                    static_cast<uint64_t>(query->Int(2))});
  }
}

absl::StatusOr<Counters> ReplicaRows::ReadCounters() {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection_->Prepare("SELECT name, value FROM counters"));
  Counters counters;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return counters;
    const std::string_view name = query->Text(0);
    if (name == "registry") counters.registry = static_cast<uint64_t>(query->Int(1));
    if (name == "released") counters.released = static_cast<uint64_t>(query->Int(1));
  }
}

absl::Status ReplicaRows::Remove(const std::string& replica) {
  for (const std::string_view table : {"waiting", "boards"}) {
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, base::StrCat("DELETE FROM ", table, " WHERE replica = ?"), replica)
            .status());
  }
  return sql::Run(*connection_, "UPDATE counters SET value = value + 1 WHERE name = 'released'")
      .status();
}

absl::Status ReplicaRows::Bury(const ReplicaRow& dead) {
  return Together(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const int64_t hit, sql::Run(*connection_, "DELETE FROM replicas WHERE id = ? AND beat = ?",
                                    dead.id, dead.beat));
    return hit == 1 ? Remove(dead.id) : absl::OkStatus();
  });
}

absl::Status ReplicaRows::Leave() {
  return Together(*connection_, [&]() -> absl::Status {
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "DELETE FROM replicas WHERE id = ?", self_).status());
    return Remove(self_);
  });
}

absl::StatusOr<std::vector<ShardKey>> ReplicaRows::Free() {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare(
          "SELECT w.account, w.shard FROM waiting w WHERE w.replica = ? AND NOT EXISTS "
          "(SELECT 1 FROM shards s JOIN replicas r ON r.id = s.replica "
          "WHERE s.account = w.account AND s.shard = w.shard)"));
  sql::Bind(*query, self_);
  std::vector<ShardKey> free;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return free;
    free.push_back({query->Number128(0), static_cast<uint32_t>(query->Int(1))});
  }
}

absl::Status ReplicaRows::SaveBoard(const std::vector<BoardRow>& rows) {
  const std::string put =
      connection_->dialect().Upsert("boards", "replica, account", "", "version, live");
  return Together(*connection_, [&]() -> absl::Status {
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "UPDATE replicas SET board = board + 1 WHERE id = ?", self_)
            .status());
    uint64_t version = 0;
    {
      FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                                connection_->Prepare("SELECT board FROM replicas WHERE id = ?"));
      sql::Bind(*query, self_);
      FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
      if (!row) return absl::AbortedError("this replica has no row: others hold it for dead");
      version = static_cast<uint64_t>(query->Int(0));
      said_ = std::max(said_, version);
    }
    for (const BoardRow& row : rows) {
      const std::string account = base::ToBytes(row.account);
      FAIRLEAD_RETURN_IF_ERROR(
          sql::Run(*connection_, put, self_, sql::Blob{account}, version, row.live).status());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<BoardRow>> ReplicaRows::BoardSince(const std::string& replica,
                                                              uint64_t version) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare("SELECT account, live FROM boards WHERE replica = ? AND version > ?"));
  sql::Bind(*query, replica, version);
  std::vector<BoardRow> rows;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return rows;
    rows.push_back({query->Number128(0), std::string(query->Text(1))});
  }
}

}  // namespace fairlead::endpoint::store
