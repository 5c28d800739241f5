#include "endpoint/registry/registry.h"

#include <optional>
#include <utility>

#include "endpoint/store/durably.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::registry {

namespace {

constexpr char kSelect[] =
    "SELECT uid, name, owner, owner_uid, generation, hash, spec, deleted_ms FROM accounts";

std::string Folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

struct Row {
  Account account;
  bool deleted = false;
};

Row ReadRow(const sql::Statement& query) {
  Row row;
  row.account.uid = query.Number128(0);
  row.account.name = std::string(query.Text(1));
  row.account.owner = std::string(query.Text(2));
  row.account.owner_uid = std::string(query.Text(3));
  row.account.generation = query.Int(4);
  row.account.hash = std::string(query.Text(5));
  row.account.spec_json = std::string(query.Text(6));
  row.deleted = query.Int(7) != 0;
  return row;
}

template <typename Value>
absl::StatusOr<std::optional<Row>> FindRow(sql::Connection& connection, std::string_view column,
                                           const Value& value) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection.Prepare(base::StrCat(kSelect, " WHERE ", column, " = ?")));
  sql::Bind(*query, value);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return std::optional<Row>();
  return std::optional<Row>(ReadRow(*query));
}

absl::StatusOr<std::optional<Row>> FindNamed(sql::Connection& connection, std::string_view name) {
  return FindRow(connection, "folded_name", Folded(name));
}

absl::Status NoAccount(std::string_view name) {
  return absl::NotFoundError(base::StrCat("account ", name, ": there is none of that name"));
}

// Whether `request` may replace what is there.
absl::Status MayReplace(const Account& known, const PutRequest& request) {
  if (known.owner != request.owner) {
    return absl::AlreadyExistsError(
        base::StrCat("account ", request.name, ": the name belongs to ", known.owner,
                     "; choose another accountName or delete the other one first"));
  }
  if (known.owner_uid != request.owner_uid && known.owner_uid != request.previous_owner_uid) {
    return absl::FailedPreconditionError(
        base::StrCat("account ", request.name,
                     ": its owner was made again with another uid; state the old one (",
                     known.owner_uid, ") as previousOwnerUid to take over"));
  }
  if (known.owner_uid == request.owner_uid && request.generation < known.generation) {
    return absl::FailedPreconditionError(base::StrCat("account ", request.name, ": generation ",
                                                      request.generation, " is older than ",
                                                      known.generation));
  }
  return absl::OkStatus();
}

}  // namespace

Registry::Registry(store::Store* store, Listener* listener) : store_(store), listener_(listener) {}

absl::StatusOr<Account> Registry::Put(const PutRequest& request) {
  if (!ValidAccountName(request.name)) {
    return absl::InvalidArgumentError(
        "name: 1 to 63 letters, digits, '_' and '-', beginning with a letter or digit");
  }
  Account account;
  FAIRLEAD_ASSIGN_OR_RETURN(account.spec, ParseAccountSpec(request.spec_json));
  account.owner = request.owner;
  account.owner_uid = request.owner_uid;
  account.generation = request.generation;
  account.spec_json = request.spec_json;
  account.hash = base::Sha256Hex(request.spec_json);
  bool changed = false;
  sql::Connection& connection = store_->connection();
  const absl::Status written =
      store::Durably(connection, [&] { return Write(request, &account, &changed); });
  FAIRLEAD_RETURN_IF_ERROR(written);
  if (changed && listener_ != nullptr) listener_->OnAccountPut(account);
  return account;
}

// Inside a transaction. Other replicas wait at the counter, so what is found stays as it is.
absl::Status Registry::Write(const PutRequest& request, Account* account, bool* changed) {
  sql::Connection& connection = store_->connection();
  FAIRLEAD_ASSIGN_OR_RETURN(std::optional<Row> known, FindNamed(connection, request.name));
  const auto same = [&] {
    return known && !known->deleted && known->account.hash == account->hash &&
           known->account.owner == account->owner &&
           known->account.owner_uid == account->owner_uid &&
           known->account.generation == account->generation;
  };
  uint64_t version = 0;
  if (!same()) {
    FAIRLEAD_ASSIGN_OR_RETURN(version, NextVersion());
    FAIRLEAD_ASSIGN_OR_RETURN(known, FindNamed(connection, request.name));
  }
  account->uid = known ? known->account.uid : base::RandomU128();
  account->name = known && !known->deleted ? known->account.name : request.name;
  if (known && !known->deleted) FAIRLEAD_RETURN_IF_ERROR(MayReplace(known->account, request));
  if (same()) return absl::OkStatus();
  *changed = true;
  const std::string uid = base::ToBytes(account->uid);
  FAIRLEAD_RETURN_IF_ERROR(
      sql::Run(connection,
               connection.dialect().Upsert(
                   "accounts", "uid", "folded_name",
                   "name, owner, owner_uid, generation, hash, spec, deleted_ms, version"),
               sql::Blob{uid}, Folded(account->name), account->name, account->owner,
               account->owner_uid, account->generation, account->hash, account->spec_json, 0,
               version)
          .status());
  return store_->CreateShard({account->uid, 0});
}

absl::Status Registry::Delete(std::string_view name, const base::U128& uid,
                              std::string_view owner) {
  sql::Connection& connection = store_->connection();
  std::string stored_name;
  FAIRLEAD_RETURN_IF_ERROR(store::Durably(connection, [&]() -> absl::Status {
    FAIRLEAD_ASSIGN_OR_RETURN(const uint64_t version, NextVersion());
    FAIRLEAD_ASSIGN_OR_RETURN(const std::optional<Row> known, FindNamed(connection, name));
    if (!known || known->deleted) return NoAccount(name);
    if (known->account.uid != uid) {
      return absl::FailedPreconditionError(base::StrCat("account ", name, ": it has another uid"));
    }
    if (known->account.owner != owner) {
      return absl::FailedPreconditionError(
          base::StrCat("account ", name, ": it belongs to ", known->account.owner));
    }
    stored_name = known->account.name;
    const std::string bytes = base::ToBytes(uid);
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(connection, "UPDATE accounts SET deleted_ms = ?, version = ? WHERE uid = ?",
                 store_->clock().WallMs(), version, sql::Blob{bytes})
            .status());
    // An account that is put again is the same one; who had a token of it has to get another.
    FAIRLEAD_RETURN_IF_ERROR(
        sql::Run(connection, "DELETE FROM account_tokens WHERE account = ?", sql::Blob{bytes})
            .status());
    return store_->DropShardRows({uid, 0});
  }));
  if (listener_ != nullptr) listener_->OnAccountDeleted(uid, stored_name);
  return absl::OkStatus();
}

absl::StatusOr<Account> Registry::Get(std::string_view name) {
  FAIRLEAD_ASSIGN_OR_RETURN(std::optional<Row> known, FindNamed(store_->connection(), name));
  if (!known || known->deleted) return NoAccount(name);
  FAIRLEAD_ASSIGN_OR_RETURN(known->account.spec, ParseAccountSpec(known->account.spec_json));
  return std::move(known->account);
}

absl::StatusOr<Account> Registry::Get(const base::U128& uid) {
  const std::string bytes = base::ToBytes(uid);
  FAIRLEAD_ASSIGN_OR_RETURN(std::optional<Row> known,
                            FindRow(store_->connection(), "uid", sql::Blob{bytes}));
  if (!known || known->deleted) return NoAccount(base::ToHex(uid));
  FAIRLEAD_ASSIGN_OR_RETURN(known->account.spec, ParseAccountSpec(known->account.spec_json));
  return std::move(known->account);
}

absl::StatusOr<uint64_t> Registry::Version() {
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      store_->connection().Prepare("SELECT value FROM counters WHERE name = 'registry'"));
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  return row ? static_cast<uint64_t>(query->Int(0)) : 0;
}

absl::StatusOr<uint64_t> Registry::NextVersion() {
  FAIRLEAD_RETURN_IF_ERROR(sql::Run(store_->connection(),
                                    "UPDATE counters SET value = value + 1 WHERE name = 'registry'")
                               .status());
  return Version();
}

absl::StatusOr<std::vector<Change>> Registry::ChangedSince(uint64_t version) {
  std::vector<Change> changes;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query, store_->connection().Prepare(base::StrCat(kSelect, " WHERE version > ?")));
  sql::Bind(*query, version);
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
    if (!found) return changes;
    Row row = ReadRow(*query);
    FAIRLEAD_ASSIGN_OR_RETURN(row.account.spec, ParseAccountSpec(row.account.spec_json));
    changes.push_back({std::move(row.account), row.deleted});
  }
}

absl::StatusOr<std::vector<Account>> Registry::List() {
  std::vector<Account> accounts;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query, store_->connection().Prepare(
                            base::StrCat(kSelect, " WHERE deleted_ms = 0 ORDER BY folded_name")));
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return accounts;
    Account account = ReadRow(*query).account;
    FAIRLEAD_ASSIGN_OR_RETURN(account.spec, ParseAccountSpec(account.spec_json));
    accounts.push_back(std::move(account));
  }
}

}  // namespace fairlead::endpoint::registry
