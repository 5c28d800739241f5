#include <algorithm>
#include <optional>
#include <utility>

#include "endpoint/store/durably.h"
#include "endpoint/store/reader.h"
#include "endpoint/store/store.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

// The half of the Store that is about shards: who writes one, and under which term.
namespace fairlead::endpoint::store {
namespace {

// No restore undoes as many epochs or terms: an agent that says so is not believed, so that it
// cannot use the numbers up.
constexpr uint64_t kMostAhead = 1'000'000;

struct ShardRow {
  int64_t id = 0;
  ShardState state;
};

absl::StatusOr<ShardRow> FindShard(sql::Connection& db, const ShardKey& key) {
  FAIRLEAD_ASSIGN_OR_RETURN(auto query,
                            db.Prepare("SELECT id, store, term, last_seq, holder, replica "
                                       "FROM shards WHERE account = ? AND shard = ?"));
  const std::string account = base::ToBytes(key.account);
  sql::Bind(*query, sql::Blob{account}, key.shard);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) {
    return absl::NotFoundError(
        base::StrCat("account ", base::ToHex(key.account), " has no shard ", key.shard));
  }
  return ShardRow{query->Int(0),
                  {key, static_cast<uint64_t>(query->Int(1)), static_cast<uint64_t>(query->Int(2)),
                   static_cast<uint64_t>(query->Int(3)), std::string(query->Text(4)),
                   std::string(query->Text(5))}};
}

absl::StatusOr<bool> Exists(sql::Connection& db, std::string_view replica) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query, db.Prepare("SELECT 1 FROM replicas WHERE id = ?"));
  sql::Bind(*query, replica);
  return query->Step();
}

bool Ahead(uint64_t seen, uint64_t stored) { return seen > stored && seen - stored < kMostAhead; }

// Whether the store is behind what was seen of it.
bool Behind(const ShardState& state, const Seen& seen) {
  if (seen.epoch != state.epoch) return Ahead(seen.epoch, state.epoch);
  return seen.seq > state.last_seq || Ahead(seen.term, state.term);
}

// Nobody else may have made a term since `before` was read.
absl::Status SaveTerm(sql::Connection& db, int64_t id, const ShardState& before,
                      const ShardState& after) {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const int64_t hit, sql::Run(db,
                                  "UPDATE shards SET store = ?, term = ?, holder = ?, replica = ? "
                                  "WHERE id = ? AND store = ? AND term = ?",
                                  after.epoch, after.term, after.holder, after.replica, id,
                                  before.epoch, before.term));
  if (hit == 1) return absl::OkStatus();
  return absl::AbortedError("another replica made a term of the shard at the same time");
}

}  // namespace

absl::Status Store::CreateShard(const ShardKey& key) {
  const std::string account = base::ToBytes(key.account);
  return Durably(*connection_, [&] {
    return sql::Run(*connection_,
                    connection_->dialect().InsertIfAbsent(
                        "shards", "account, shard, store, term, holder, last_seq"),
                    sql::Blob{account}, key.shard, epoch_, 0, std::string_view(""), 0)
        .status();
  });
}

absl::StatusOr<ShardState> Store::GetShard(const ShardKey& key) {
  FAIRLEAD_ASSIGN_OR_RETURN(ShardRow row, FindShard(*connection_, key));
  return std::move(row.state);
}

absl::StatusOr<Term> Store::NewTerm(const ShardKey& key, std::string_view holder,
                                    const std::vector<Seen>& seen) {
  Term term;
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(const ShardRow row, FindShard(*connection_, key));
    term.state = row.state;
    FAIRLEAD_ASSIGN_OR_RETURN(term.elsewhere, HeldElsewhere(row.state, holder));
    if (term.elsewhere) return Wait(key);
    ShardState& state = term.state;
    for (const Seen& one : seen) {
      if (!Behind(row.state, one)) continue;
      term.lost_commits = true;
      state.epoch = std::max(state.epoch, one.epoch);
      if (Ahead(one.term, state.term)) state.term = one.term;
    }
    state.term += 1;
    state.epoch += term.lost_commits ? 1 : 0;
    state.holder = std::string(holder);
    state.replica = replica_;
    FAIRLEAD_RETURN_IF_ERROR(SaveTerm(*connection_, row.id, row.state, state));
    return StopWaiting(key);
  }));
  if (term.elsewhere) return term;
  FAIRLEAD_ASSIGN_OR_RETURN(term.positions, ReadPositions(*connection_, key, /*anchors=*/true));
  return term;
}

// An agent that held the shard at another replica and claims it here has left that one.
absl::StatusOr<bool> Store::HeldElsewhere(const ShardState& state, std::string_view holder) {
  if (state.replica.empty() || state.replica == replica_) return false;
  if (!holder.empty() && state.holder == holder) return false;
  return Exists(*connection_, state.replica);
}

absl::Status Store::Wait(const ShardKey& key) {
  const std::string account = base::ToBytes(key.account);
  return sql::Run(*connection_,
                  connection_->dialect().InsertIfAbsent("waiting", "replica, account, shard"),
                  replica_, sql::Blob{account}, key.shard)
      .status();
}

absl::Status Store::StopWaiting(const ShardKey& key) {
  const std::string account = base::ToBytes(key.account);
  return sql::Run(*connection_,
                  "DELETE FROM waiting WHERE replica = ? AND account = ? AND shard = ?", replica_,
                  sql::Blob{account}, key.shard)
      .status();
}

absl::StatusOr<bool> Store::Release(const ShardKey& key, uint64_t term, Releasing when) {
  bool released = false;
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    const std::string account = base::ToBytes(key.account);
    std::string update =
        "UPDATE shards SET replica = NULL WHERE account = ? AND shard = ? AND replica = ? "
        "AND (term = ? OR ? = 0)";
    if (when == Releasing::kIfAnotherWaits) {
      update +=
          " AND EXISTS (SELECT 1 FROM waiting w WHERE w.account = shards.account "
          "AND w.shard = shards.shard AND w.replica <> shards.replica)";
    }
    FAIRLEAD_ASSIGN_OR_RETURN(const int64_t hit, sql::Run(*connection_, update, sql::Blob{account},
                                                          key.shard, replica_, term, term));
    released = hit == 1;
    if (!released) return absl::OkStatus();
    return sql::Run(*connection_, "UPDATE counters SET value = value + 1 WHERE name = 'released'")
        .status();
  }));
  return released;
}

absl::StatusOr<std::vector<Held>> Store::Lost(const std::vector<Held>& held) {
  std::vector<Held> lost;
  for (const Held& one : held) {
    auto row = FindShard(*connection_, one.key);
    if (!row.ok() && row.status().code() != absl::StatusCode::kNotFound) return row.status();
    const bool mine = row.ok() && row->state.epoch == one.epoch && row->state.term == one.term &&
                      row->state.replica == replica_ && row->state.last_seq >= one.committed;
    if (!mine) lost.push_back(one);
  }
  return lost;
}

absl::Status Store::DropShardRows(const ShardKey& key) {
  return Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(const ShardRow row, FindShard(*connection_, key));
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_,
                 "UPDATE shards SET term = term + 1, holder = '', replica = NULL WHERE id = ?",
                 row.id)
            .status());
    return sql::Run(*connection_, "UPDATE kinds SET shard = 0 WHERE shard = ?", row.id).status();
  });
}

}  // namespace fairlead::endpoint::store
