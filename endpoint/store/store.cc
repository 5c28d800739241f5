#include "endpoint/store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "endpoint/store/durably.h"
#include "endpoint/store/reader.h"
#include "endpoint/store/schema.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::endpoint::store {
namespace {

constexpr base::Duration kTombstoneLife = base::hours(24);
constexpr base::Duration kMostTokenLife = base::hours(24 * 30);

// One of the kinds that were taken out of their accounts.
absl::StatusOr<std::optional<int64_t>> DroppedKind(sql::Connection& db) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            db.Prepare("SELECT id FROM kinds WHERE shard = 0 LIMIT 1"));
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::optional<int64_t>();
  return std::optional<int64_t>(query->Int(0));
}

// Only one process uses an SQLite file: what a replica remembers of the others is not for it.
absl::StatusOr<int> LockFile(const std::string& database) {
  const std::string path = database + ".lock";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return absl::FailedPreconditionError(base::StrCat(path, ": cannot be opened"));
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  close(file);
  return absl::FailedPreconditionError(
      base::StrCat(database,
                   ": another endpoint uses it; several replicas need PostgreSQL or "
                   "MariaDB (docs/databases.md)"));
}

}  // namespace

Store::Store(sql::DatabaseOptions database, std::unique_ptr<sql::Connection> connection,
             const base::Clock* clock)
    : database_(std::move(database)),
      connection_(std::move(connection)),
      clock_(clock),
      replica_(base::RandomHex(16)) {}

Store::~Store() {
  connection_.reset();
  if (lock_ >= 0) close(lock_);
}

bool Store::shared() const { return !database_.url.empty(); }

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const sql::DatabaseOptions& database,
                                                   const base::Clock* clock) {
  int lock = -1;
  if (database.url.empty()) {
    FAIRLEAD_ASSIGN_OR_RETURN(lock, LockFile(database.sqlite_path));
  }
  auto opened = OpenLocked(database, clock);
  if (!opened.ok()) {
    if (lock >= 0) close(lock);
    return opened.status();
  }
  (*opened)->lock_ = lock;
  return opened;
}

absl::StatusOr<std::unique_ptr<Store>> Store::OpenLocked(const sql::DatabaseOptions& database,
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
    for (const std::string_view counter : {"registry", "released"}) {
      FAIRLEAD_RETURN_IF_ERROR(
          sql::Run(*connection_, connection_->dialect().InsertIfAbsent("counters", "name, value"),
                   counter, 0)
              .status());
    }
    FAIRLEAD_ASSIGN_OR_RETURN(
        auto query, connection_->Prepare("SELECT (SELECT value FROM meta WHERE name = 'store_id'), "
                                         "(SELECT value FROM meta WHERE name = 'store_epoch')"));
    FAIRLEAD_RETURN_IF_ERROR(query->Step().status());
    id_ = query->Number128(0);
    epoch_ = static_cast<uint64_t>(query->Int(1));
    return absl::OkStatus();
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

absl::StatusOr<std::string> Store::CreateAccountToken(const U128& account, std::string_view name,
                                                      base::Duration lifetime) {
  const std::string token = base::StrCat("flt-", base::RandomHex(32));
  const std::string uid = base::ToBytes(account);
  const std::string hash = base::Sha256Hex(token);
  const int64_t now = clock_->WallMs();
  const int64_t expires = lifetime <= base::Duration::zero() ? 0 : now + base::AgeMs(lifetime);
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare("SELECT 1 FROM account_tokens WHERE account = ? AND name = ?"));
    sql::Bind(*query, sql::Blob{uid}, name);
    FAIRLEAD_ASSIGN_OR_RETURN(const bool known, query->Step());
    if (known) {
      return absl::AlreadyExistsError(
          base::StrCat("the account has a token named ", name, "; revoke it first"));
    }
    return sql::Run(*connection_,
                    "INSERT INTO account_tokens (hash, account, name, created_ms, expires_ms) "
                    "VALUES (?, ?, ?, ?, ?)",
                    hash, sql::Blob{uid}, name, now, expires)
        .status();
  }));
  return token;
}

absl::StatusOr<bool> Store::RevokeAccountToken(const U128& account, std::string_view name) {
  const std::string uid = base::ToBytes(account);
  int64_t gone = 0;
  FAIRLEAD_RETURN_IF_ERROR(Durably(*connection_, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(
        gone, sql::Run(*connection_, "DELETE FROM account_tokens WHERE account = ? AND name = ?",
                       sql::Blob{uid}, name));
    return absl::OkStatus();
  }));
  return gone > 0;
}

absl::StatusOr<std::unique_ptr<sql::Connection>> Store::Connect() const {
  return sql::Open(database_, sql::Access::kReadWrite);
}

absl::StatusOr<std::unique_ptr<Reader>> Store::OpenReader() const {
  FAIRLEAD_ASSIGN_OR_RETURN(auto connection, sql::Open(database_, sql::Access::kReadOnly));
  return std::make_unique<Reader>(std::move(connection));
}

}  // namespace fairlead::endpoint::store
