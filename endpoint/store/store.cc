#include "endpoint/store/store.h"

#include <optional>
#include <utility>

#include "endpoint/store/reader.h"
#include "endpoint/store/schema.h"
#include "lib/base/status.h"

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

// One of the kinds that were taken out of their accounts.
absl::StatusOr<std::optional<int64_t>> DroppedKind(sql::Connection& db) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            db.Prepare("SELECT id FROM kinds WHERE shard = 0 LIMIT 1"));
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::optional<int64_t>();
  return std::optional<int64_t>(query->Int(0));
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

Store::Store(sql::DatabaseOptions database, std::unique_ptr<sql::Connection> connection,
             const base::Clock* clock)
    : database_(std::move(database)), connection_(std::move(connection)), clock_(clock) {}

Store::~Store() = default;

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const sql::DatabaseOptions& database,
                                                   const base::Clock* clock) {
  FAIRLEAD_ASSIGN_OR_RETURN(auto connection, sql::Open(database, sql::Access::kReadWrite));
  FAIRLEAD_RETURN_IF_ERROR(sql::Migrate(*connection, Migrations(), *clock).status());
  std::unique_ptr<Store> store(new Store(database, std::move(connection), clock));
  FAIRLEAD_RETURN_IF_ERROR(store->LoadMeta());
  return store;
}

absl::Status Store::LoadMeta() {
  return Durably(*connection_, [&]() -> absl::Status {
    const std::string insert = connection_->dialect().InsertIfAbsent("meta", "name, value");
    const std::string fresh = base::ToBytes(base::RandomU128());
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, insert, std::string_view("store_id"), sql::Blob{fresh}).status());
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(*connection_, insert, std::string_view("store_epoch"), sql::Blob{"1"}).status());
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
    FAIRLEAD_ASSIGN_OR_RETURN(ShardRow row, FindShard(*connection_, key));
    ShardState& state = term.state = std::move(row.state);
    for (const Seen& one : seen) {
      term.lost_commits |= one.epoch == state.epoch && one.seq > state.last_seq;
    }
    state.term += 1;
    state.epoch += term.lost_commits ? 1 : 0;
    state.holder = std::string(holder);
    return sql::Run(*connection_, "UPDATE shards SET store = ?, term = ?, holder = ? WHERE id = ?",
                    state.epoch, state.term, holder, row.id)
        .status();
  }));
  FAIRLEAD_ASSIGN_OR_RETURN(term.positions, ReadPositions(*connection_, key, /*anchors=*/true));
  return term;
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
  int64_t left = max_rows;
  const int64_t day_ago = clock_->WallMs() - base::AgeMs(kTombstoneLife);
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    const sql::Dialect& dialect = connection_->dialect();
    FAIRLEAD_ASSIGN_OR_RETURN(const std::optional<int64_t> kind, DroppedKind(*connection_));
    if (kind) {
      for (const std::string_view table : {"objects", "tombstones", "positions"}) {
        FAIRLEAD_ASSIGN_OR_RETURN(
            const int64_t rows,
            sql::Run(*connection_, dialect.DeleteSome(table, "kind = ?"), *kind, left));
        left -= rows;
        if (left <= 0) return absl::OkStatus();
      }
      FAIRLEAD_RETURN_IF_ERROR(
          sql::Run(*connection_, "DELETE FROM kinds WHERE id = ?", *kind).status());
    }
    FAIRLEAD_ASSIGN_OR_RETURN(
        const int64_t old,
        sql::Run(*connection_, dialect.DeleteSome("tombstones", "deleted_ms < ?"), day_ago, left));
    left = kind ? 0 : left - old;  // there may be another kind
    return sql::Run(*connection_, "DELETE FROM enrolment_tokens WHERE expires_ms < ?", day_ago)
        .status();
  }));
  return left <= 0;
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
  FAIRLEAD_ASSIGN_OR_RETURN(auto connection, sql::Open(database_, sql::Access::kReadOnly));
  return std::make_unique<Reader>(std::move(connection));
}

}  // namespace fairlead::endpoint::store
