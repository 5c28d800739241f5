#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/wire/codec.h"

namespace fairlead::wire {

struct OutboxOptions {
  agent::v1::Codec codec = agent::v1::CODEC_ZSTD;
  size_t batch_raw_bytes = size_t{256} << 10;  // about 64 KiB compressed
  size_t pending_bytes = size_t{16} << 20;     // beyond: congested()
  base::Duration checkpoint_interval = base::minutes(2);
  // Between batches until an ack says otherwise; a longer one is waited for before the first, too.
  base::Duration flush_delay = base::milliseconds(2);
};

// The agent's end of one granted shard: what is to be sent, in which order, in batches.
//
// Guarantees: changes of one object are coalesced to the newest and keep the place of the oldest; a
//   checkpoint of a watch never overtakes one of its changes, and none is sent between the begin
//   and the end of its snapshot; live changes go before a snapshot's pages and end, but its begin
//   keeps its place among them, as the end deletes what was last written in a batch before the
//   begin's; batches are numbered last_seq + 1, + 2, ...; no more bytes are in flight than the last
//   ack allows (one batch always may be).
// Assumes: the session delivers batches in order or ends, and with it this object: the next grant
//   says anew where to begin, so nothing is kept for a second try.
// Bounds: pending_bytes, by the owner's pausing its watches while congested().
// Pure; one thread. Tests: unit/lib/wire/outbox_test.cc.
class Outbox {
 public:
  struct Shard {
    std::string account_uid;  // 16 bytes
    uint32_t shard = 0;
    uint64_t store_epoch = 0;
    uint64_t term = 0;
    uint64_t last_seq = 0;
    bool prefix = false;  // batches may be `prefixed`
  };
  struct Watch {
    agent::v1::Kind kind;
    std::string name;  // "" or the one namespace
    std::string rules_hash;
    // Adds the anchors of the watch at a version, if it has any there. May be null.
    std::function<void(const std::string& version, agent::v1::Checkpoint* checkpoint)> anchors_at;
  };
  Outbox(const Shard& shard, const OutboxOptions& options);

  // The watch's number for everything below.
  int AddWatch(const Watch& watch);

  // `change` without its kind and age. `seen` is the watch's seen version before this event.
  void Change(int watch, agent::v1::Change change, const std::string& seen_before, base::Time now);
  // Nothing at or before `seen` is missing.
  void Seen(int watch, uint64_t history, const std::string& seen, base::Time now);

  // Pending changes of an earlier history than the snapshot's are dropped.
  void SnapshotBegin(int watch, agent::v1::SnapshotBegin begin, base::Time now);
  void SnapshotItem(int watch, agent::v1::SnapshotItem item, base::Time now);
  void DropPage(int watch);
  void SnapshotPage(int watch, base::Time now);
  // True when every page of the watch's snapshot was answered by a Want.
  [[nodiscard]] bool PagesAnswered(int watch) const;
  void OnWant(const std::string& snapshot_id, uint64_t through_seq);
  // Adds count and sum, unless the list was not of one version. `incomplete`: something of the list
  // could not be read, so nothing may be concluded from absence.
  void SnapshotEnd(int watch, const std::string& resource_version, bool consistent, bool incomplete,
                   base::Time now);
  // What is pending of the snapshot begun last goes; the end of one before stays. No checkpoint of
  // the watch follows until Seen() says again what is complete.
  void AbandonSnapshot(int watch);

  void OnAck(const agent::v1::Ack& ack);
  // The next batch to send now.
  [[nodiscard]] absl::StatusOr<std::optional<agent::v1::Batch>> Next(base::Time now);
  // When Next() may have one: a time to wait for, or max() = only after an ack or something new.
  [[nodiscard]] base::Time NextWake() const;

  // Since when something waits that is not acknowledged; max() = nothing does.
  [[nodiscard]] base::Time UnackedSince() const;
  [[nodiscard]] bool congested() const { return pending_bytes_ > options_.pending_bytes; }
  [[nodiscard]] size_t pending_bytes() const { return pending_bytes_; }
  [[nodiscard]] uint64_t last_seq() const { return seq_; }
  [[nodiscard]] uint64_t coalesced() const { return coalesced_; }

 private:
  struct Live {
    int watch = 0;
    agent::v1::Change change;
    // A snapshot's begin, or the end of the one before it, instead of a change.
    std::optional<agent::v1::Entry> mark;
    base::U128 key;           // of the change
    std::string seen_before;  // of the first event in it
    base::Time received{};
    base::Time since{};  // when the first event in it was received
    size_t bytes = 0;
  };
  struct Part {
    int watch = 0;
    agent::v1::Entry entry;
    base::Time received{};
    size_t bytes = 0;
  };
  struct Snapshot {
    std::string id;
    agent::v1::SnapshotPage page;  // items not queued yet
    size_t page_bytes = 0;
    uint64_t count = 0;
    base::U128 sum;
    uint64_t page_count = 0;  // of the list page under way
    base::U128 page_sum;
    uint64_t parts_queued = 0;  // pages queued and not yet in a batch
    uint64_t last_page_seq = 0;
    uint64_t answered_seq = 0;
  };
  struct WatchState {
    Watch watch;
    uint64_t history = 0;
    std::string seen;
    std::string checkpointed;  // the version last sent
    uint64_t checkpointed_history = 0;
    base::Time seen_at{};
    uint64_t live = 0;  // entries pending
    uint64_t ends = 0;  // of snapshots, pending
    bool urgent = false;
    std::optional<Snapshot> snapshot;
  };

  void QueuePart(int watch, agent::v1::Entry entry, base::Time now);
  void FlushItems(int watch, base::Time now);
  void TakeEnd(int watch, base::Time received, base::Time now, agent::v1::SnapshotEnd* end);
  [[nodiscard]] base::Time PendingSince() const;
  [[nodiscard]] base::Time RipeAt() const;
  [[nodiscard]] bool MayCheckpoint(const WatchState& watch) const;
  [[nodiscard]] bool CheckpointDue(base::Time now) const;
  uint32_t KindIndex(int watch, agent::v1::Payload* payload, std::map<int, uint32_t>* kinds) const;
  void TakeLive(agent::v1::Payload* payload, std::map<int, uint32_t>* kinds, size_t* bytes,
                base::Time now);
  void TakeParts(agent::v1::Payload* payload, std::map<int, uint32_t>* kinds, size_t* bytes,
                 base::Time now);
  void TakeCheckpoints(agent::v1::Payload* payload, std::map<int, uint32_t>* kinds, base::Time now);

  Shard shard_;
  OutboxOptions options_;
  std::vector<WatchState> watches_;
  // Live changes by number; the number is the order, and a coalesced one keeps its own.
  std::map<uint64_t, Live> live_;
  absl::flat_hash_map<base::U128, uint64_t> by_key_;  // object key -> number
  uint64_t next_live_ = 0;
  std::deque<Part> parts_;
  size_t pending_bytes_ = 0;
  uint64_t seq_ = 0;
  uint64_t coalesced_ = 0;

  struct InFlight {
    uint64_t seq = 0;
    size_t bytes = 0;
    base::Time since{};  // of the oldest in it
  };
  std::deque<InFlight> in_flight_;
  PayloadHistory history_;
  size_t in_flight_bytes_ = 0;
  uint64_t credit_ = 0;
  base::Duration flush_delay_;
  base::Time oldest_{base::Time::max()};  // since when something waits
  base::Time last_checkpoint_{};
  bool moved_ = false;  // some watch has a checkpoint to give
};

}  // namespace fairlead::wire
