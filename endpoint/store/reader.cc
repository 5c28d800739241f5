#include "endpoint/store/reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "endpoint/store/anchors.h"
#include "endpoint/store/body.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

namespace {

constexpr int kAnchors = 4;
constexpr int kMostObjects = 5000;
constexpr size_t kPageBytes = size_t{16} << 20;  // of bodies; one object always goes
// Read in one query while a page fills: what a server sends behind the page's end is waste.
constexpr int kChunkObjects = 64;

struct KindRow {
  int64_t id = 0;
  U128 account;
  Kind kind;
};

std::string Folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// Reads in one consistent state.
class Snapshot {
 public:
  explicit Snapshot(sql::Connection* connection) : connection_(connection) {}
  ~Snapshot() {
    if (connection_->InTransaction()) connection_->Rollback();
  }
  absl::Status Begin() { return connection_->BeginRead(); }

 private:
  sql::Connection* connection_;
};

absl::StatusOr<std::vector<KindRow>> KindRows(sql::Connection& connection,
                                              std::optional<ShardKey> shard) {
  std::vector<KindRow> kinds;
  const std::string account = shard ? base::ToBytes(shard->account) : "";
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection.Prepare(
          shard ? "SELECT k.id, s.account, k.api_group, k.resource, k.kind, k.version, "
                  "k.namespaced FROM kinds k "
                  "JOIN shards s ON s.id = k.shard WHERE s.account = ? AND "
                  "s.shard = ? ORDER BY k.id"
                : "SELECT k.id, s.account, k.api_group, k.resource, k.kind, k.version, "
                  "k.namespaced FROM kinds k "
                  "JOIN shards s ON s.id = k.shard ORDER BY k.id"));
  if (shard) sql::Bind(*query, sql::Blob{account}, shard->shard);
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return kinds;
    KindRow one;
    one.id = query->Int(0);
    one.account = query->Number128(1);
    one.kind = {std::string(query->Text(2)), std::string(query->Text(3)),
                std::string(query->Text(4)), std::string(query->Text(5)), query->Int(6) != 0};
    kinds.push_back(std::move(one));
  }
}

// Of one batch's rows the newest first: versions are decimal numbers.
absl::StatusOr<std::vector<Anchor>> Anchors(sql::Connection& connection, int64_t kind_id,
                                            const std::string& watch) {
  std::vector<Anchor> anchors;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection.Prepare(watch.empty() ? "SELECT namespace, name, uid, resource_version FROM "
                                         "objects WHERE kind = ? AND held = 0 "
                                         "ORDER BY seq DESC, length(resource_version) DESC, "
                                         "resource_version DESC LIMIT ?"
                                       : "SELECT namespace, name, uid, resource_version FROM "
                                         "objects WHERE kind = ? AND held = 0 "
                                         "AND namespace = ? "
                                         "ORDER BY seq DESC, length(resource_version) DESC, "
                                         "resource_version DESC LIMIT ?"));
  if (watch.empty()) {
    sql::Bind(*query, kind_id, kAnchors);
  } else {
    sql::Bind(*query, kind_id, watch, kAnchors);
  }
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return anchors;
    anchors.push_back({{std::string(query->Text(0)), std::string(query->Text(1))},
                       std::string(query->Text(2)),
                       std::string(query->Text(3))});
  }
}

absl::StatusOr<uint64_t> HeldRows(sql::Connection& connection, int64_t kind_id,
                                  const std::string& watch) {
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection.Prepare("SELECT count(*) FROM objects WHERE held <> 0 AND "
                                               "kind = ? AND (? = '' OR namespace = ?)"));
  sql::Bind(*query, kind_id, watch, watch);
  FAIRLEAD_RETURN_IF_ERROR(query->Step().status());
  return static_cast<uint64_t>(query->Int(0));
}

// "<kind id>/<namespace>/<name>": names hold no '/'.
struct Place {
  int64_t kind_id = 0;
  std::string name_space;
  std::string name;
};

bool ParsePlace(const std::string& token, Place* place) {
  const size_t first = token.find('/');
  const size_t second = first == std::string::npos ? first : token.find('/', first + 1);
  if (second == std::string::npos) return false;
  const auto [end, error] = std::from_chars(token.data(), token.data() + first, place->kind_id);
  if (error != std::errc() || end != token.data() + first) return false;
  place->name_space = token.substr(first + 1, second - first - 1);
  place->name = token.substr(second + 1);
  return true;
}

bool Matches(const KindRow& row, const ObjectFilter& filter) {
  if (filter.account && row.account != *filter.account) return false;
  if (filter.group && row.kind.group != *filter.group) return false;
  const std::string wanted = Folded(filter.kind);
  return wanted.empty() || wanted == Folded(row.kind.kind) || wanted == Folded(row.kind.resource);
}

constexpr char kColumns[] =
    "namespace, name, uid, resource_version, history, content_hash, application, seq, held, "
    "changed_ms";

absl::StatusOr<StoredObject> ReadRow(const sql::Statement& row, const KindRow& kind, bool body) {
  StoredObject object;
  object.account = kind.account;
  object.kind = kind.kind;
  object.object = {std::string(row.Text(0)), std::string(row.Text(1))};
  object.uid = std::string(row.Text(2));
  object.resource_version = std::string(row.Text(3));
  object.history = static_cast<uint64_t>(row.Int(4));
  object.content_hash = row.Number128(5);
  object.application = std::string(row.Text(6));
  object.seq = static_cast<uint64_t>(row.Int(7));
  object.held = row.Int(8) != 0;
  object.changed_ms = row.Int(9);
  if (body && !Decompress(row.Text(10), &object.body)) {
    return absl::DataLossError(base::StrCat("the stored body of ", object.object.name_space, "/",
                                            object.object.name, " is damaged"));
  }
  return object;
}

// A page of objects while it is read.
struct Filling {
  const ObjectPageRequest* request;
  Place place;  // of the last object
  ObjectPage page;
  size_t bytes = 0;
  [[nodiscard]] bool full() const {
    return static_cast<int>(page.objects.size()) == request->limit || bytes >= kPageBytes;
  }
};

// The next objects of a kind, up to a chunk. The first one that the page does not take gives it its
// token. True: there may be more of the kind.
absl::StatusOr<bool> ReadChunk(sql::Connection& connection, const KindRow& kind, Filling* filling) {
  const ObjectPageRequest& request = *filling->request;
  const ObjectFilter& filter = request.filter;
  Place& place = filling->place;
  std::string sql = base::StrCat("SELECT ", kColumns, request.bodies ? ", body" : "",
                                 " FROM objects WHERE kind = ?");
  std::vector<std::string> values;
  const auto add = [&](const char* condition, const std::string& value) {
    sql += condition;
    values.push_back(value);
  };
  if (kind.id == place.kind_id) {
    add(" AND (namespace, name) > (?, ", place.name_space);
    add("?)", place.name);
  }
  if (filter.name_space) add(" AND namespace = ?", *filter.name_space);
  if (!filter.name.empty()) add(" AND name = ?", filter.name);
  if (!filter.application.empty()) add(" AND application = ?", filter.application);
  sql += " ORDER BY namespace, name LIMIT ?";
  const int left = request.limit - static_cast<int>(filling->page.objects.size()) + 1;
  const int most = filling->full() ? 1 : request.bodies ? std::min(left, kChunkObjects) : left;
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query, connection.Prepare(sql));
  int index = 0;
  query->BindInt(index++, kind.id);
  for (const std::string& value : values) query->BindText(index++, value);
  query->BindInt(index, most);
  for (int rows = 0;; ++rows) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return rows == most;
    if (filling->full()) {
      filling->page.continue_token =
          base::StrCat(place.kind_id, "/", place.name_space, "/", place.name);
      return false;
    }
    FAIRLEAD_ASSIGN_OR_RETURN(StoredObject object, ReadRow(*query, kind, request.bodies));
    filling->bytes += object.body.size();
    filling->page.objects.push_back(std::move(object));
    const ObjectName& last = filling->page.objects.back().object;
    place = {kind.id, last.name_space, last.name};
  }
}

}  // namespace

Reader::Reader(std::unique_ptr<sql::Connection> connection) : connection_(std::move(connection)) {}
Reader::~Reader() = default;

absl::StatusOr<std::vector<ShardState>> Reader::Shards(std::optional<U128> account) {
  std::vector<ShardState> shards;
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare("SELECT account, shard, store, term, last_seq, holder FROM shards"));
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return shards;
    ShardState one;
    one.key = {query->Number128(0), static_cast<uint32_t>(query->Int(1))};
    one.epoch = static_cast<uint64_t>(query->Int(2));
    one.term = static_cast<uint64_t>(query->Int(3));
    one.last_seq = static_cast<uint64_t>(query->Int(4));
    one.holder = std::string(query->Text(5));
    if (!account || one.key.account == *account) shards.push_back(std::move(one));
  }
}

absl::StatusOr<std::vector<Position>> ReadPositions(sql::Connection& connection,
                                                    const ShardKey& key, bool anchors) {
  Snapshot snapshot(&connection);
  FAIRLEAD_RETURN_IF_ERROR(snapshot.Begin());
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<KindRow> kinds, KindRows(connection, key));
  std::vector<Position> positions;
  for (const KindRow& kind : kinds) {
    std::vector<Position> own;
    {
      FAIRLEAD_ASSIGN_OR_RETURN(
          const auto query,
          connection.Prepare("SELECT watch, history, resource_version, rules_hash, row_count, "
                             "row_sum, fresh_ms, verified_ms, anchors "
                             "FROM positions WHERE kind = ?"));
      sql::Bind(*query, kind.id);
      for (;;) {
        FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
        if (!row) break;
        Position one;
        one.kind = kind.kind;
        one.watch = std::string(query->Text(0));
        one.history = static_cast<uint64_t>(query->Int(1));
        one.resource_version = std::string(query->Text(2));
        one.rules_hash = std::string(query->Text(3));
        one.count = static_cast<uint64_t>(query->Int(4));
        one.sum = query->Number128(5);
        one.fresh_ms = query->Int(6);
        one.verified_ms = query->Int(7);
        if (anchors) one.anchors = UnpackAnchors(query->Text(8));
        own.push_back(std::move(one));
      }
    }
    for (Position& one : own) {
      FAIRLEAD_ASSIGN_OR_RETURN(one.held, HeldRows(connection, kind.id, one.watch));
      one.anchors_at_position = !one.anchors.empty();
      if (anchors && one.anchors.empty()) {
        FAIRLEAD_ASSIGN_OR_RETURN(one.anchors, Anchors(connection, kind.id, one.watch));
      }
      positions.push_back(std::move(one));
    }
  }
  return positions;
}

absl::StatusOr<std::vector<Position>> Reader::Positions(const ShardKey& key, bool anchors) {
  return ReadPositions(*connection_, key, anchors);
}

absl::StatusOr<ObjectPage> Reader::Objects(const ObjectPageRequest& request) {
  if (request.limit < 1 || request.limit > kMostObjects) {
    return absl::InvalidArgumentError("limit: from 1 to 5000");
  }
  Place place;
  if (!request.continue_token.empty() && !ParsePlace(request.continue_token, &place)) {
    return absl::InvalidArgumentError("continue: not a token of ours");
  }
  Snapshot snapshot(connection_.get());
  FAIRLEAD_RETURN_IF_ERROR(snapshot.Begin());
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<KindRow> kinds, KindRows(*connection_, std::nullopt));
  Filling filling{&request, std::move(place)};
  for (const KindRow& kind : kinds) {
    if (kind.id < filling.place.kind_id || !Matches(kind, request.filter)) continue;
    for (bool more = true; more && filling.page.continue_token.empty();) {
      FAIRLEAD_ASSIGN_OR_RETURN(more, ReadChunk(*connection_, kind, &filling));
    }
    if (!filling.page.continue_token.empty()) break;
  }
  return std::move(filling.page);
}

absl::StatusOr<Sums> Reader::Recompute(const ShardKey& key, std::string_view group,
                                       std::string_view resource, std::string_view watch) {
  Snapshot snapshot(connection_.get());
  FAIRLEAD_RETURN_IF_ERROR(snapshot.Begin());
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<KindRow> kinds, KindRows(*connection_, key));
  Sums sums;
  for (const KindRow& kind : kinds) {
    if (kind.kind.group != group || kind.kind.resource != resource) continue;
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare(
            "SELECT object_key, content_hash, namespace FROM objects WHERE kind = ?"));
    sql::Bind(*query, kind.id);
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
      if (!row) break;
      if (!watch.empty() && query->Text(2) != watch) continue;
      ++sums.count;
      sums.sum += base::SumTerm(query->Number128(0), query->Number128(1));
    }
  }
  return sums;
}

absl::StatusOr<std::vector<AccountToken>> Reader::AccountTokens(const U128& account) {
  const std::string uid = base::ToBytes(account);
  FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                            connection_->Prepare("SELECT name, created_ms, expires_ms FROM "
                                                 "account_tokens WHERE account = ? ORDER BY name"));
  sql::Bind(*query, sql::Blob{uid});
  std::vector<AccountToken> tokens;
  for (;;) {
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return tokens;
    tokens.push_back({std::string(query->Text(0)), query->Int(1), query->Int(2)});
  }
}

// By its hash: how long a look takes tells nothing of the token.
absl::StatusOr<std::optional<U128>> Reader::AccountOfToken(std::string_view name,
                                                           std::string_view token, int64_t now_ms) {
  const std::string hash = base::Sha256Hex(token);
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto query,
      connection_->Prepare(
          "SELECT a.uid FROM account_tokens t JOIN accounts a ON a.uid = t.account "
          "WHERE t.hash = ? AND a.name = ? AND a.deleted_ms = 0 AND "
          "(t.expires_ms = 0 OR t.expires_ms > ?)"));
  sql::Bind(*query, hash, name, now_ms);
  FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::nullopt;
  return query->Number128(0);
}

absl::StatusOr<ScrubPage> Reader::Scrub(const ScrubRequest& request) {
  return ScrubRows(*connection_, request);
}

}  // namespace fairlead::endpoint::store
