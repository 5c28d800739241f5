#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/registry/account_spec.h"
#include "endpoint/store/store.h"
#include "lib/base/hash.h"

namespace fairlead::endpoint::registry {

struct Account {
  base::U128 uid;
  std::string name;
  std::string owner;      // "<hub id>/<namespace>/<name>" of the resource, or "rest", or "file"
  std::string owner_uid;  // uid of the owning resource; "" for rest and file
  int64_t generation = 0;
  std::string hash;  // SHA-256 of spec_json, what callers compare
  std::string spec_json;
  AccountSpec spec;
};

struct PutRequest {
  std::string name;
  std::string owner;
  std::string owner_uid;
  // Stated by an owner whose resource was made again with another uid (hub rebuilt from Git): the
  // uid the registry has. The generation then starts anew.
  std::string previous_owner_uid;
  int64_t generation = 0;
  std::string spec_json;
};

// How an account changed; of one that changed more than once, the last.
struct Change {
  Account account;
  bool deleted = false;
};

// Who hears of changes; called on the store's thread after the commit. Post to a loop.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnAccountPut(const Account& account) = 0;
  // The account's grant ends; its shard was fenced off and its rows are no longer visible.
  virtual void OnAccountDeleted(const base::U128& uid, const std::string& name) = 0;
};

// The accounts table: the one place that says which accounts exist and what they may do (DESIGN
// sections 7, 8 and 11).
//
// Guarantees: a name is one account, ignoring ASCII case, first claim wins; the uid is minted at
// the first
//   PUT and stays with the name for ever, also across DELETE and PUT; a PUT that changes nothing
//   writes nothing; a PUT of another owner, another owner uid (unless stated) or an older
//   generation changes nothing; the account's shard exists when Put returns; what several replicas
//   write at a time comes one after the other.
// Threads: the store's (WriterThread::Do). Errors: InvalidArgument (name or spec), AlreadyExists
// (another
//   owner has the name), FailedPrecondition (older generation, owner uid, account uid), NotFound.
class Registry {
 public:
  // `store` and `listener` (may be null) must outlive the registry.
  Registry(store::Store* store, Listener* listener);

  absl::StatusOr<Account> Put(const PutRequest& request);
  // `uid` must be the account's, `owner` its owner: a late DELETE of an older holder deletes
  // nothing. Deleting what is not there is NotFound.
  absl::Status Delete(std::string_view name, const base::U128& uid, std::string_view owner);
  absl::StatusOr<Account> Get(std::string_view name);
  absl::StatusOr<Account> Get(const base::U128& uid);
  absl::StatusOr<std::vector<Account>> List();

  // Rises with every change, of whichever replica.
  absl::StatusOr<uint64_t> Version();
  // What changed after `version`; read Version() before, and go on from there.
  absl::StatusOr<std::vector<Change>> ChangedSince(uint64_t version);

 private:
  absl::StatusOr<uint64_t> NextVersion();
  absl::Status Write(const PutRequest& request, Account* account, bool* changed);

  store::Store* store_;
  Listener* listener_;
};

}  // namespace fairlead::endpoint::registry
