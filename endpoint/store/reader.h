#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/scrub.h"
#include "endpoint/store/types.h"

namespace fairlead::sql {
class Connection;
}

namespace fairlead::endpoint::store {

// Empty = any. `kind` matches kind or resource, ignoring ASCII case.
struct ObjectFilter {
  std::optional<U128> account;
  std::optional<std::string> group;
  std::string kind;
  std::optional<std::string> name_space;
  std::string name;
  std::string application;
};

struct ObjectPageRequest {
  ObjectFilter filter;
  int limit = 500;             // 1 .. 5000
  std::string continue_token;  // "" = from the beginning
  bool bodies = true;
};

struct StoredObject {
  U128 account;
  Kind kind;
  ObjectName object;
  std::string uid;
  std::string resource_version;
  uint64_t history = 0;
  U128 content_hash;
  std::string application;
  uint64_t seq = 0;
  bool held = false;
  int64_t changed_ms = 0;  // store's wall clock, when the agent had received what is stored
  std::string body;        // decompressed; "" unless asked for
};

struct ObjectPage {
  std::vector<StoredObject> objects;  // in a fixed order: account and kind, namespace, name
  std::string continue_token;         // "" = the end
};

struct Sums {
  uint64_t count = 0;
  U128 sum;
};

// Positions of a shard in one consistent state, with anchors when asked: what a Grant carries. Also
// the freshness of each kind and watch. Outside a transaction.
absl::StatusOr<std::vector<Position>> ReadPositions(sql::Connection& connection,
                                                    const ShardKey& key, bool anchors);

// A token of an account's, without its secret.
struct AccountToken {
  std::string name;
  int64_t created_ms = 0;
  int64_t expires_ms = 0;  // 0 = never
};

// Reads over a connection of its own: sees committed rows, never blocks the writer, is never
// blocked. Threads: one at a time. Each call sees one consistent state; pages of one walk may see
// later ones, but an object that stays is never skipped and never comes twice. Errors:
// InvalidArgument (bad continue token or limit), NotFound, Unavailable, DataLoss.
class Reader {
 public:
  explicit Reader(std::unique_ptr<sql::Connection> connection);
  ~Reader();

  // All shards of the store, or of one account.
  absl::StatusOr<std::vector<ShardState>> Shards(std::optional<U128> account);
  absl::StatusOr<std::vector<Position>> Positions(const ShardKey& key, bool anchors);
  // At most `limit` objects and, of bodies, 16 MiB and the one that reaches them.
  absl::StatusOr<ObjectPage> Objects(const ObjectPageRequest& request);
  // Count and sum computed from the rows themselves (invariant 9).
  absl::StatusOr<Sums> Recompute(const ShardKey& key, std::string_view group,
                                 std::string_view resource, std::string_view watch);
  absl::StatusOr<ScrubPage> Scrub(const ScrubRequest& request);
  // Tokens of an account, by name.
  absl::StatusOr<std::vector<AccountToken>> AccountTokens(const U128& account);
  // The account named so, if the token is one of it at that time.
  absl::StatusOr<std::optional<U128>> AccountOfToken(std::string_view name, std::string_view token,
                                                     int64_t now_ms);

 private:
  std::unique_ptr<sql::Connection> connection_;
};

}  // namespace fairlead::endpoint::store
