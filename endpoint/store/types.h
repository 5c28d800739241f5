#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/hash.h"

// What goes into the store and comes out of it: plain values, free of the wire and of SQL.
namespace fairlead::endpoint::store {

using base::U128;

// An account's unit of ownership (DESIGN section 2, invariant 2). The uid comes from the
// authenticated session, never from a payload.
struct ShardKey {
  U128 account;
  uint32_t shard = 0;
  friend auto operator<=>(const ShardKey&, const ShardKey&) = default;
};

// Identity is (group, resource); the rest is data, kept for each shard on its own, so that one
// cluster cannot rename the kinds of another.
struct Kind {
  std::string group;
  std::string resource;
  std::string kind;
  std::string version;
  bool namespaced = false;
  friend bool operator==(const Kind&, const Kind&) = default;
};

struct ObjectName {
  std::string name_space;
  std::string name;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer.
  friend auto operator<=>(const ObjectName&, const ObjectName&) = default;
};

// One object as it was at one version: proof of a server's history.
struct Anchor {
  ObjectName object;
  std::string uid;
  std::string resource_version;
};

// `kind` is an index into Batch::kinds everywhere below. Whoever makes a batch has already checked
// that content_hash is the hash of body, that a core Secret carries no values, and has read
// `application` from the body ("" = none).
struct Change {
  bool upsert = true;  // false: delete; uid, content_hash, application and body are then unused
  uint32_t kind = 0;
  std::string name_space;
  std::string name;
  std::string uid;
  std::string resource_version;
  uint64_t history = 0;
  U128 content_hash;
  std::string application;
  int64_t age_ms = 0;  // since the agent received it
  std::string body;    // not compressed
};

struct Checkpoint {
  uint32_t kind = 0;
  std::string watch;  // "" = all namespaces, else the one namespace of this watch
  uint64_t history = 0;
  std::string resource_version;
  std::string rules_hash;
  int64_t age_ms = 0;
  std::vector<Anchor> anchors;  // objects as they are at resource_version
};

struct SnapshotBegin {
  U128 snapshot_id;
  uint32_t kind = 0;
  std::string watch;
  uint64_t history = 0;
  std::string rules_hash;
  bool complete_list = false;  // only then may the end delete
};

struct SnapshotItem {
  std::string name_space;
  std::string name;
  std::string uid;
  std::string resource_version;
  U128 content_hash;
  bool has_body = false;
  // What came of it is not fit to be stored; known only is that the list has it, so that its row,
  // if there is one, stays.
  bool refused = false;
  std::string application;  // only with a body
  std::string body;
};

struct SnapshotPage {
  U128 snapshot_id;
  std::vector<SnapshotItem> items;
};

struct SnapshotEnd {
  U128 snapshot_id;
  std::string resource_version;
  uint64_t count = 0;
  U128 sum;
  int64_t age_ms = 0;
  bool incomplete = false;  // the list held what could not be read: absence proves nothing
  bool counted = true;      // count and sum were given: every page was of one version
};

// Deletes what of a kind is still held. Not an agent's: somebody decided so.
struct ConfirmHeld {
  uint32_t kind = 0;
};

// Leaves of a kind what these watches give, whatever protects it from deletes; none: the kind goes.
// Not an agent's: the account's owner decided so. Alone in its batch, with others of its kind.
struct Rescope {
  uint32_t kind = 0;
  std::vector<std::string> watches;
};

using Entry = std::variant<Change, Checkpoint, SnapshotBegin, SnapshotPage, SnapshotEnd,
                           ConfirmHeld, Rescope>;

// What of a watch's objects the account's owner does not want. A row of it that a list lacks is no
// loss, and no protection counts it.
struct ScopeFilter {
  std::vector<std::string> omit_namespaces;
  bool only_spinnaker_managed = false;
};

// Deletes at a snapshot's end are held when n > max_count, or n > 10 and n > max_percent of the
// rows.
struct DeletionProtection {
  uint32_t max_percent = 30;
  uint64_t max_count = 500;
  friend bool operator==(const DeletionProtection&, const DeletionProtection&) = default;
};

struct Batch {
  ShardKey shard;
  uint64_t epoch = 0;
  uint64_t term = 0;
  uint64_t seq = 0;
  std::vector<Kind> kinds;
  std::vector<Entry> entries;
  DeletionProtection protection;
  std::shared_ptr<const ScopeFilter> scope;  // null: everything
  size_t bytes = 0;  // what it counts for in the queue; about its size in memory
};

struct Refused {
  Kind kind;
  ObjectName object;
  std::string reason;
};

// The answer to one page: the objects whose bodies the store lacks, perhaps none.
struct Want {
  U128 snapshot_id;
  std::vector<ObjectName> names;
};

struct SnapshotOutcome {
  U128 snapshot_id;
  Kind kind;
  std::string watch;
  uint64_t deleted = 0;
  uint64_t held = 0;      // kept and marked, because deletion protection said so
  bool compared = false;  // there was one whole list of one version to compare the rows with
  bool verified = false;  // list, running sum and rows gave three equal numbers (invariant 9)
  std::string doubt;      // why not, for people
};

struct BatchResult {
  // OK              committed.
  // Aborted         not the shard's writer any more (another term, epoch or a gap in seq), or a
  //                 batch before it in the same shard failed, or too many snapshot keys are held
  //                 in memory. Nothing of it is in the store.
  // InvalidArgument the batch breaks the protocol; end the shard's grant.
  absl::Status status;
  std::vector<Refused> refused;
  std::vector<Want> wants;  // one for each SnapshotPage, in order
  std::vector<SnapshotOutcome> ended;
  uint64_t written = 0;  // rows inserted or updated
  uint64_t deleted = 0;
  uint64_t unchanged = 0;  // same hash, not written
  uint64_t outdated = 0;   // an older (history, resourceVersion) than the row or its tombstone
};

// ------------------------------------------------------------------------------------------
// reading

// Where one watch left off.
struct Position {
  Kind kind;
  std::string watch;
  uint64_t history = 0;
  std::string resource_version;  // "" while the first snapshot is not finished
  std::string rules_hash;
  uint64_t count = 0;  // rows of this kind and watch
  U128 sum;
  uint64_t held = 0;
  int64_t fresh_ms = 0;     // store's wall clock: rows were known current then; 0 = never
  int64_t verified_ms = 0;  // likewise, when they were last proven; 0 = never
  // Only in positions for a grant: those of the checkpoint, else the last 4 surviving upserts,
  // newest first.
  std::vector<Anchor> anchors;
  bool anchors_at_position = false;
};

struct ShardState {
  ShardKey key;
  uint64_t epoch = 0;
  uint64_t term = 0;
  uint64_t last_seq = 0;
  std::string holder;   // agent instance the term was made for
  std::string replica;  // of the endpoint, that made it; "" = nobody writes the shard
};

// How far an agent says that the shard had come.
struct Seen {
  uint64_t epoch = 0;
  uint64_t term = 0;
  uint64_t seq = 0;
};

// What a replica believes to hold.
struct Held {
  ShardKey key;
  uint64_t epoch = 0;
  uint64_t term = 0;
  uint64_t committed = 0;  // seq that was acknowledged
};

// What a grant begins with. Nobody can have written between the two.
struct Term {
  ShardState state;
  // A live replica other than this one holds the shard: no term was made, and it is written down
  // that this one waits.
  bool elsewhere = false;
  bool lost_commits = false;        // the agent had seen more than there is
  std::vector<Position> positions;  // with anchors
};

}  // namespace fairlead::endpoint::store
