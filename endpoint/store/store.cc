#include "endpoint/store/store.h"

#include <algorithm>
#include <utility>

#include "endpoint/store/reader.h"
#include "endpoint/store/schema.h"
#include "lib/base/status.h"
#include "lib/sql/sqlite.h"

namespace fairlead::endpoint::store {
namespace {

constexpr base::Duration kTombstoneLife = base::hours(24);
constexpr base::Duration kMostTokenLife = base::hours(24 * 30);

struct ShardRow {
  int64_t id = 0;
  ShardState state;
};

absl::StatusOr<ShardRow> FindShard(sql::Connection& db, const ShardKey& key) {
  FAIRLEAD_ASSIGN_OR_RETURN(auto query, db.Prepare("SELECT id, store, term, last_seq, holder "
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
                   static_cast<uint64_t>(query->Int(3)), std::string(query->Text(4))}};
}

// Runs `work` in a durable transaction.
template <typename Work>
absl::Status Durably(sql::Connection& db, Work&& work) {
  FAIRLEAD_RETURN_IF_ERROR(db.SetDurability(sql::Durability::kFull));
  sql::Transaction transaction(&db);
  FAIRLEAD_RETURN_IF_ERROR(transaction.Begin());
  FAIRLEAD_RETURN_IF_ERROR(work());
  return transaction.Commit();
}

}  // namespace

Store::Store(StoreOptions options, std::unique_ptr<sql::Connection> connection,
             const base::Clock* clock)
    : options_(std::move(options)), connection_(std::move(connection)), clock_(clock) {}

Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const StoreOptions& options,
                                                   const base::Clock* clock) {
  sql::SqliteOptions sqlite;
  sqlite.path = options.path;
  sqlite.busy_timeout_ms = options.busy_timeout_ms;
  sqlite.max_pages = options.max_pages;
  FAIRLEAD_ASSIGN_OR_RETURN(auto connection, sql::OpenSqlite(sqlite));
  FAIRLEAD_RETURN_IF_ERROR(
      base::WithContext(sql::Migrate(*connection, Migrations(), *clock).status(), options.path));
  std::unique_ptr<Store> store(new Store(options, std::move(connection), clock));
  FAIRLEAD_RETURN_IF_ERROR(base::WithContext(store->LoadMeta(), options.path));
  return store;
}

absl::Status Store::LoadMeta() {
  return Durably(*connection_, [&]() -> absl::Status {
    const std::string fresh = base::ToBytes(base::RandomU128());
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "INSERT OR IGNORE INTO meta (name, value) VALUES ('store_id', ?)",
                 sql::Blob{fresh})
            .status());
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, "INSERT OR IGNORE INTO meta (name, value) VALUES ('store_epoch', 1)")
            .status());
    FAIRLEAD_ASSIGN_OR_RETURN(
        auto query, connection_->Prepare("SELECT (SELECT value FROM meta WHERE name = 'store_id'), "
                                         "(SELECT value FROM meta WHERE name = 'store_epoch')"));
    FAIRLEAD_RETURN_IF_ERROR(query->Step().status());
    id_ = query->Number128(0);
    epoch_ = static_cast<uint64_t>(query->Int(1));
    return absl::OkStatus();
  });
}

absl::Status Store::CreateShard(const ShardKey& key) {
  const std::string account = base::ToBytes(key.account);
  return Durably(*connection_, [&] {
    return sql::Run(*connection_,
                    "INSERT OR IGNORE INTO shards (account, shard, store, term, holder, last_seq) "
                    "VALUES (?, ?, ?, 0, '', 0)",
                    sql::Blob{account}, key.shard, epoch_)
        .status();
  });
}

absl::StatusOr<ShardState> Store::GetShard(const ShardKey& key) {
  FAIRLEAD_ASSIGN_OR_RETURN(ShardRow row, FindShard(*connection_, key));
  return std::move(row.state);
}

absl::StatusOr<ShardState> Store::NewTerm(const ShardKey& key, std::string_view holder,
                                          bool raise_epoch) {
  ShardState state;
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(ShardRow row, FindShard(*connection_, key));
    state = std::move(row.state);
    state.term += 1;
    state.epoch += raise_epoch ? 1 : 0;
    state.holder = std::string(holder);
    return sql::Run(*connection_, "UPDATE shards SET store = ?, term = ?, holder = ? WHERE id = ?",
                    state.epoch, state.term, holder, row.id)
        .status();
  }));
  return state;
}

absl::Status Store::DropShardRows(const ShardKey& key) {
  return Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(const ShardRow row, FindShard(*connection_, key));
    FAIRLEAD_RETURN_IF_ERROR(sql::Run(*connection_,
                                      "UPDATE shards SET term = term + 1, holder = '' WHERE id = ?",
                                      row.id)
                                 .status());
    return sql::Run(*connection_, "UPDATE kinds SET shard = 0 WHERE shard = ?", row.id).status();
  });
}

absl::StatusOr<bool> Store::Reap(int max_rows) {
  int64_t removed = 0;
  const int64_t now = clock_->WallMs();
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    for (const std::string_view table : {"objects", "tombstones", "positions"}) {
      FAIRLEAD_ASSIGN_OR_RETURN(
          const int64_t rows,
          sql::Run(*connection_,
                   base::StrCat("DELETE FROM ", table,
                                " WHERE rowid IN (SELECT t.rowid FROM kinds k JOIN ", table,
                                " t ON t.kind = k.id WHERE k.shard = 0 LIMIT ?)"),
                   max_rows));
      removed = std::max(removed, rows);
    }
    if (removed < max_rows) {
      FAIRLEAD_RETURN_IF_ERROR(
          sql::Run(*connection_, "DELETE FROM kinds WHERE shard = 0").status());
    }
    FAIRLEAD_ASSIGN_OR_RETURN(
        const int64_t old,
        sql::Run(*connection_,
                 "DELETE FROM tombstones WHERE rowid IN (SELECT rowid FROM tombstones "
                 "WHERE deleted_ms < ? LIMIT ?)",
                 now - base::AgeMs(kTombstoneLife), max_rows));
    removed = std::max(removed, old);
    return sql::Run(*connection_, "DELETE FROM enrolment_tokens WHERE expires_ms < ?",
                    now - base::AgeMs(base::hours(24)))
        .status();
  }));
  return removed >= max_rows;
}

absl::StatusOr<EnrolmentToken> Store::CreateToken(std::string_view identity,
                                                  base::Duration lifetime) {
  if (identity.empty() || identity.size() > 63) {
    return absl::InvalidArgumentError("enrolment token: the identity must have 1 to 63 characters");
  }
  if (lifetime <= base::Duration::zero() || lifetime > kMostTokenLife) {
    return absl::InvalidArgumentError("enrolment token: the lifetime must be at most 30 days");
  }
  EnrolmentToken token{base::RandomHex(32), clock_->WallMs() + base::AgeMs(lifetime)};
  const std::string hash = base::Sha256Hex(token.token);
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&] {
    return sql::Run(*connection_,
                    "INSERT INTO enrolment_tokens (hash, identity, expires_ms, spent_ms) "
                    "VALUES (?, ?, ?, 0)",
                    hash, identity, token.expires_ms)
        .status();
  }));
  return token;
}

absl::Status Store::SpendToken(std::string_view token, std::string_view identity) {
  const int64_t now = clock_->WallMs();
  const std::string hash = base::Sha256Hex(token);
  return Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const int64_t spent,
        sql::Run(*connection_,
                 "UPDATE enrolment_tokens SET spent_ms = ? WHERE hash = ? AND identity = ? "
                 "AND spent_ms = 0 AND expires_ms > ?",
                 now, hash, identity, now));
    if (spent == 1) return absl::OkStatus();
    return absl::PermissionDeniedError(
        base::StrCat("the enrolment token is unknown, spent, expired, or not for identity ",
                     identity, "; make a new one"));
  });
}

absl::StatusOr<std::unique_ptr<Reader>> Store::OpenReader() const {
  sql::SqliteOptions sqlite;
  sqlite.path = options_.path;
  sqlite.read_only = true;
  sqlite.busy_timeout_ms = options_.busy_timeout_ms;
  FAIRLEAD_ASSIGN_OR_RETURN(auto connection, sql::OpenSqlite(sqlite));
  return std::make_unique<Reader>(std::move(connection));
}

}  // namespace fairlead::endpoint::store
