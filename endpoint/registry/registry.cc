#include "endpoint/registry/registry.h"

#include <optional>
#include <utility>

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

absl::StatusOr<std::optional<Row>> FindRow(sql::Connection& connection, std::string_view name) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection.Prepare(base::StrCat(kSelect, " WHERE folded_name = ?")));
  const std::string folded = Folded(name);
  sql::Bind(*query, folded);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return std::optional<Row>();
  return std::optional<Row>(ReadRow(*query));
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
  FAIRLEAD_ASSIGN_OR_RETURN(AccountSpec spec, ParseAccountSpec(request.spec_json));
  sql::Connection& connection = store_->connection();
  FAIRLEAD_ASSIGN_OR_RETURN(const std::optional<Row> known, FindRow(connection, request.name));
  Account account;
  account.uid = known ? known->account.uid : base::RandomU128();
  account.name = known && !known->deleted ? known->account.name : request.name;
  account.owner = request.owner;
  account.owner_uid = request.owner_uid;
  account.generation = request.generation;
  account.spec_json = request.spec_json;
  account.hash = base::Sha256Hex(request.spec_json);
  account.spec = std::move(spec);
  if (known && !known->deleted) {
    FAIRLEAD_RETURN_IF_ERROR(MayReplace(known->account, request));
    const bool same = known->account.hash == account.hash &&
                      known->account.owner_uid == account.owner_uid &&
                      known->account.generation == account.generation;
    if (same) return account;
  }
  FAIRLEAD_RETURN_IF_ERROR(connection.SetDurability(sql::Durability::kFull));
  const std::string uid = base::ToBytes(account.uid);
  const auto written = sql::Run(
      connection,
      connection.dialect().Upsert("accounts", "uid", "folded_name",
                                  "name, owner, owner_uid, generation, hash, spec, deleted_ms"),
      sql::Blob{uid}, Folded(account.name), account.name, account.owner, account.owner_uid,
      account.generation, account.hash, account.spec_json, 0);
  FAIRLEAD_RETURN_IF_ERROR(connection.SetDurability(sql::Durability::kNormal));
  FAIRLEAD_RETURN_IF_ERROR(written.status());
  FAIRLEAD_RETURN_IF_ERROR(store_->CreateShard({account.uid, 0}));
  if (listener_ != nullptr) listener_->OnAccountPut(account);
  return account;
}

absl::Status Registry::Delete(std::string_view name, const base::U128& uid,
                              std::string_view owner) {
  sql::Connection& connection = store_->connection();
  FAIRLEAD_ASSIGN_OR_RETURN(const std::optional<Row> known, FindRow(connection, name));
  if (!known || known->deleted) return NoAccount(name);
  if (known->account.uid != uid) {
    return absl::FailedPreconditionError(base::StrCat("account ", name, ": it has another uid"));
  }
  if (known->account.owner != owner) {
    return absl::FailedPreconditionError(
        base::StrCat("account ", name, ": it belongs to ", known->account.owner));
  }
  const std::string bytes = base::ToBytes(uid);
  FAIRLEAD_RETURN_IF_ERROR(sql::Run(connection, "UPDATE accounts SET deleted_ms = ? WHERE uid = ?",
                                    store_->clock().WallMs(), sql::Blob{bytes})
                               .status());
  FAIRLEAD_RETURN_IF_ERROR(store_->DropShardRows({uid, 0}));
  if (listener_ != nullptr) listener_->OnAccountDeleted(uid, known->account.name);
  return absl::OkStatus();
}

absl::StatusOr<Account> Registry::Get(std::string_view name) {
  FAIRLEAD_ASSIGN_OR_RETURN(std::optional<Row> known, FindRow(store_->connection(), name));
  if (!known || known->deleted) return NoAccount(name);
  FAIRLEAD_ASSIGN_OR_RETURN(known->account.spec, ParseAccountSpec(known->account.spec_json));
  return std::move(known->account);
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
