#include "lib/wire/outbox.h"

#include <algorithm>
#include <utility>

#include "lib/base/resource_version.h"
#include "lib/base/status.h"
#include "lib/wire/codec.h"

namespace fairlead::wire {

namespace v1 = fairlead::agent::v1;

namespace {

constexpr size_t kEntryOverhead = 64;

base::U128 KeyOf(const v1::Kind& kind, std::string_view name_space, std::string_view name) {
  return base::ObjectKey(kind.group(), kind.resource(), name_space, name);
}

base::U128 KeyOf(const v1::Kind& kind, const v1::Change& change) {
  return KeyOf(kind, change.name_space(), change.name());
}

// An object that was read again may come later than an event that is newer than what was read.
bool Overtaken(const v1::Change& pending, const v1::Change& change) {
  if (pending.history() != change.history()) return pending.history() > change.history();
  const auto order =
      base::CompareResourceVersions(change.resource_version(), pending.resource_version());
  return order.has_value() && *order < 0;
}

// A size on the line may not tell what a Secret has in common with what others write.
bool HasSecrets(const v1::Payload& payload) {
  return std::any_of(payload.kinds().begin(), payload.kinds().end(), [](const v1::Kind& kind) {
    return kind.group().empty() && kind.resource() == "secrets";
  });
}

uint32_t Age(base::Time received, base::Time now) {
  return static_cast<uint32_t>(std::min<int64_t>(base::AgeMs(now - received), UINT32_MAX));
}

}  // namespace

Outbox::Outbox(const Shard& shard, const OutboxOptions& options)
    : shard_(shard), options_(options), seq_(shard.last_seq), flush_delay_(options.flush_delay) {}

int Outbox::AddWatch(const Watch& watch) {
  watches_.push_back({.watch = watch});
  return static_cast<int>(watches_.size()) - 1;
}

void Outbox::Change(int watch, v1::Change change, const std::string& seen_before, base::Time now) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  const base::U128 key = KeyOf(state.watch.kind, change);
  const size_t bytes = change.ByteSizeLong() + kEntryOverhead;
  const auto [place, fresh] = by_key_.emplace(key, next_live_);
  if (!fresh && Overtaken(live_[place->second].change, change)) return;
  if (fresh) {
    Live& live = live_[next_live_++];
    live.watch = watch;
    live.key = key;
    live.since = now;
    live.seen_before = seen_before;
    ++state.live;
  } else {
    pending_bytes_ -= live_[place->second].bytes;
    ++coalesced_;
  }
  Live& live = live_[place->second];
  live.change = std::move(change);
  live.received = now;
  live.bytes = bytes;
  pending_bytes_ += bytes;
  oldest_ = std::min(oldest_, now);
}

void Outbox::Seen(int watch, uint64_t history, const std::string& seen, base::Time now) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  state.history = history;
  state.seen = seen;
  state.seen_at = now;
  moved_ = true;
  if (last_checkpoint_ == base::Time{}) last_checkpoint_ = now;
}

void Outbox::QueuePart(int watch, v1::Entry entry, base::Time now) {
  const size_t bytes = entry.ByteSizeLong() + kEntryOverhead;
  pending_bytes_ += bytes;
  parts_.push_back({watch, std::move(entry), now, bytes});
  oldest_ = std::min(oldest_, now);
}

void Outbox::SnapshotBegin(int watch, v1::SnapshotBegin begin, base::Time now) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  state.snapshot = Snapshot{};
  state.snapshot->id = begin.snapshot_id();
  begin.set_watch(state.watch.name);
  begin.set_rules_hash(state.watch.rules_hash);
  // What changes from now on is newer than the list, so it may not join what is pending from
  // before. Of that, changes of an earlier history never were; the list is complete without them,
  // and behind a position of before the restore nobody would ever find them.
  std::erase_if(live_, [&](const auto& entry) {
    const Live& live = entry.second;
    if (live.watch != watch || live.mark) return false;
    by_key_.erase(live.key);
    if (live.change.history() >= begin.history()) return false;
    pending_bytes_ -= live.bytes;
    --state.live;
    return true;
  });
  // The end of the snapshot before may still wait behind other watches' pages: it goes first, as a
  // begin ends what it finds.
  for (auto part = parts_.begin(); part != parts_.end();) {
    if (part->watch != watch || !part->entry.has_snapshot_end()) {
      ++part;
      continue;
    }
    Live& end = live_[next_live_++];
    end.watch = watch;
    end.received = part->received;
    end.since = part->received;
    end.bytes = part->bytes;
    end.mark = std::move(part->entry);
    part = parts_.erase(part);
  }
  Live& live = live_[next_live_++];
  live.watch = watch;
  live.received = now;
  live.since = now;
  live.bytes = begin.ByteSizeLong() + kEntryOverhead;
  *live.mark.emplace().mutable_snapshot_begin() = std::move(begin);
  pending_bytes_ += live.bytes;
  oldest_ = std::min(oldest_, now);
}

void Outbox::SnapshotItem(int watch, v1::SnapshotItem item, base::Time now) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  if (!state.snapshot) return;
  Snapshot& snapshot = *state.snapshot;
  base::U128 hash;
  base::FromBytes(item.content_hash(), &hash);
  snapshot.page_sum += base::SumTerm(KeyOf(state.watch.kind, item.name_space(), item.name()), hash);
  ++snapshot.page_count;
  snapshot.page_bytes += item.ByteSizeLong() + kEntryOverhead;
  *snapshot.page.add_items() = std::move(item);
  // An item sent of a page that is then dropped comes once more, which does no harm.
  if (snapshot.page_bytes >= options_.batch_raw_bytes) FlushItems(watch, now);
}

void Outbox::FlushItems(int watch, base::Time now) {
  Snapshot& snapshot = *watches_[static_cast<size_t>(watch)].snapshot;
  if (snapshot.page.items_size() == 0) return;
  snapshot.page.set_snapshot_id(snapshot.id);
  v1::Entry entry;
  *entry.mutable_snapshot_page() = std::exchange(snapshot.page, {});
  snapshot.page_bytes = 0;
  ++snapshot.parts_queued;
  QueuePart(watch, std::move(entry), now);
}

void Outbox::DropPage(int watch) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  if (!state.snapshot) return;
  state.snapshot->page.Clear();
  state.snapshot->page_bytes = 0;
  state.snapshot->page_count = 0;
  state.snapshot->page_sum = {};
}

void Outbox::SnapshotPage(int watch, base::Time now) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  if (!state.snapshot) return;
  FlushItems(watch, now);
  state.snapshot->count += std::exchange(state.snapshot->page_count, 0);
  state.snapshot->sum += std::exchange(state.snapshot->page_sum, {});
}

bool Outbox::PagesAnswered(int watch) const {
  const auto& snapshot = watches_[static_cast<size_t>(watch)].snapshot;
  return snapshot && snapshot->page.items_size() == 0 && snapshot->parts_queued == 0 &&
         snapshot->answered_seq >= snapshot->last_page_seq;
}

void Outbox::OnWant(const std::string& snapshot_id, uint64_t through_seq) {
  for (WatchState& state : watches_) {
    if (!state.snapshot || state.snapshot->id != snapshot_id) continue;
    state.snapshot->answered_seq = std::max(state.snapshot->answered_seq, through_seq);
  }
}

void Outbox::SnapshotEnd(int watch, const std::string& resource_version, bool consistent,
                         bool incomplete, base::Time now) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  if (!state.snapshot) return;
  v1::Entry entry;
  v1::SnapshotEnd* end = entry.mutable_snapshot_end();
  end->set_snapshot_id(state.snapshot->id);
  end->set_resource_version(resource_version);
  end->set_incomplete(incomplete);
  ++state.ends;
  if (consistent && !incomplete) {
    end->set_count(state.snapshot->count);
    end->set_sum(base::ToBytes(state.snapshot->sum));
  }
  QueuePart(watch, std::move(entry), now);
}

void Outbox::AbandonSnapshot(int watch) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  state.seen.clear();
  if (!state.snapshot) return;
  const std::string id = state.snapshot->id;
  state.snapshot.reset();
  std::erase_if(live_, [&](const auto& entry) {
    const auto& [number, live] = entry;
    const bool own =
        live.watch == watch && live.mark && live.mark->snapshot_begin().snapshot_id() == id;
    if (own) pending_bytes_ -= live.bytes;
    return own;
  });
  std::erase_if(parts_, [&](const Part& part) {
    const bool own = part.watch == watch && part.entry.snapshot_page().snapshot_id() == id;
    if (own) pending_bytes_ -= part.bytes;
    return own;
  });
}

void Outbox::OnAck(const v1::Ack& ack) {
  while (!in_flight_.empty() && in_flight_.front().seq <= ack.seq()) {
    in_flight_bytes_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
  credit_ = ack.credit_bytes();
  flush_delay_ = base::milliseconds(std::min(ack.flush_delay_ms(), 2000U));
}

bool Outbox::MayCheckpoint(const WatchState& watch) const {
  if (watch.seen.empty() || watch.snapshot || watch.ends > 0) return false;
  return watch.seen != watch.checkpointed || watch.history != watch.checkpointed_history;
}

bool Outbox::CheckpointDue(base::Time now) const {
  if (!moved_) return false;
  const bool timely = now >= last_checkpoint_ + options_.checkpoint_interval;
  return std::any_of(watches_.begin(), watches_.end(), [&](const WatchState& watch) {
    return (timely || watch.urgent) && MayCheckpoint(watch);
  });
}

uint32_t Outbox::KindIndex(int watch, v1::Payload* payload, std::map<int, uint32_t>* kinds) const {
  const v1::Kind& kind = watches_[static_cast<size_t>(watch)].watch.kind;
  const auto known = kinds->find(watch);
  if (known != kinds->end()) return known->second;
  for (int i = 0; i < payload->kinds_size(); ++i) {
    if (payload->kinds(i).group() == kind.group() &&
        payload->kinds(i).resource() == kind.resource()) {
      return (*kinds)[watch] = static_cast<uint32_t>(i);
    }
  }
  *payload->add_kinds() = kind;
  return (*kinds)[watch] = static_cast<uint32_t>(payload->kinds_size() - 1);
}

void Outbox::TakeLive(v1::Payload* payload, std::map<int, uint32_t>* kinds, size_t* bytes,
                      base::Time now) {
  while (!live_.empty() && *bytes < options_.batch_raw_bytes) {
    // A row of the begin's own batch counts as written after it.
    const auto& mark = live_.begin()->second.mark;
    if (mark && mark->has_snapshot_begin() && payload->entries_size() > 0) return;
    const uint64_t number = live_.begin()->first;
    Live live = std::move(live_.begin()->second);
    live_.erase(live_.begin());
    WatchState& state = watches_[static_cast<size_t>(live.watch)];
    if (live.mark) {
      pending_bytes_ -= live.bytes;
      *bytes += live.bytes;
      const uint32_t kind = KindIndex(live.watch, payload, kinds);
      if (live.mark->has_snapshot_begin()) {
        live.mark->mutable_snapshot_begin()->set_kind(kind);
      } else {
        TakeEnd(live.watch, live.received, now, live.mark->mutable_snapshot_end());
      }
      *payload->add_entries() = *std::move(live.mark);
      continue;
    }
    const auto known = by_key_.find(live.key);
    if (known != by_key_.end() && known->second == number) by_key_.erase(known);
    --state.live;
    state.urgent = true;  // the position goes with the last of the changes
    pending_bytes_ -= live.bytes;
    *bytes += live.bytes;
    live.change.set_kind(KindIndex(live.watch, payload, kinds));
    live.change.set_age_ms(Age(live.received, now));
    *payload->add_entries()->mutable_change() = std::move(live.change);
  }
}

void Outbox::TakeParts(v1::Payload* payload, std::map<int, uint32_t>* kinds, size_t* bytes,
                       base::Time now) {
  while (live_.empty() && !parts_.empty() && *bytes < options_.batch_raw_bytes) {
    Part part = std::move(parts_.front());
    parts_.pop_front();
    WatchState& state = watches_[static_cast<size_t>(part.watch)];
    pending_bytes_ -= part.bytes;
    *bytes += part.bytes;
    KindIndex(part.watch, payload, kinds);  // a page and an end need theirs in the payload
    if (part.entry.has_snapshot_page() && state.snapshot) {
      --state.snapshot->parts_queued;
      state.snapshot->last_page_seq = seq_ + 1;
    } else if (part.entry.has_snapshot_end()) {
      TakeEnd(part.watch, part.received, now, part.entry.mutable_snapshot_end());
    }
    *payload->add_entries() = std::move(part.entry);
  }
}

void Outbox::TakeEnd(int watch, base::Time received, base::Time now, v1::SnapshotEnd* end) {
  WatchState& state = watches_[static_cast<size_t>(watch)];
  end->set_age_ms(Age(received, now));
  if (state.snapshot && state.snapshot->id == end->snapshot_id()) state.snapshot.reset();
  --state.ends;
  state.urgent = true;
  moved_ = true;
}

// Behind the changes of the same batch, so that they land together.
void Outbox::TakeCheckpoints(v1::Payload* payload, std::map<int, uint32_t>* kinds, base::Time now) {
  const bool timely = now >= last_checkpoint_ + options_.checkpoint_interval;
  // The oldest pending change of each watch says how far its checkpoint may go.
  std::map<int, const std::string*> limits;
  for (const auto& [number, live] : live_) limits.emplace(live.watch, &live.seen_before);
  bool left = false;
  for (size_t i = 0; i < watches_.size(); ++i) {
    WatchState& state = watches_[i];
    if (!MayCheckpoint(state)) continue;
    const auto limit = limits.find(static_cast<int>(i));
    if (!(timely || state.urgent) || (limit != limits.end() && limit->second->empty())) {
      left = true;
      continue;
    }
    const std::string& version = limit == limits.end() ? state.seen : *limit->second;
    left = left || limit != limits.end();
    if (version == state.checkpointed && state.history == state.checkpointed_history) continue;
    v1::Checkpoint* checkpoint = payload->add_entries()->mutable_checkpoint();
    checkpoint->set_kind(KindIndex(static_cast<int>(i), payload, kinds));
    checkpoint->set_history(state.history);
    checkpoint->set_resource_version(version);
    checkpoint->set_age_ms(Age(state.seen_at, now));
    checkpoint->set_rules_hash(state.watch.rules_hash);
    checkpoint->set_watch(state.watch.name);
    if (state.watch.anchors_at) state.watch.anchors_at(version, checkpoint);
    state.checkpointed = version;
    state.checkpointed_history = state.history;
    state.urgent = state.urgent && limit != limits.end();
  }
  if (timely) last_checkpoint_ = now;
  moved_ = left;
}

// With nothing on its way what waits goes at once, and its answer's time gathers what follows; but
// for an endpoint that asks for patience, as it has a large fleet or a slow database.
base::Time Outbox::RipeAt() const {
  if (live_.empty() && parts_.empty()) return base::Time::max();
  if (pending_bytes_ >= options_.batch_raw_bytes) return oldest_;
  const bool at_once = in_flight_.empty() && flush_delay_ <= options_.flush_delay;
  return at_once ? oldest_ : oldest_ + flush_delay_;
}

absl::StatusOr<std::optional<v1::Batch>> Outbox::Next(base::Time now) {
  if (now < RipeAt() && !CheckpointDue(now)) return std::nullopt;
  if (!in_flight_.empty() && in_flight_bytes_ >= credit_) return std::nullopt;

  const base::Time since = std::min(PendingSince(), now);
  v1::Payload payload;
  std::map<int, uint32_t> kinds;
  size_t bytes = 0;
  TakeLive(&payload, &kinds, &bytes, now);
  TakeParts(&payload, &kinds, &bytes, now);
  TakeCheckpoints(&payload, &kinds, now);
  oldest_ = live_.empty() && parts_.empty() ? base::Time::max() : now;
  if (payload.entries_size() == 0) return std::nullopt;

  const bool prefix = shard_.prefix && !HasSecrets(payload);
  FAIRLEAD_ASSIGN_OR_RETURN(EncodedPayload encoded,
                            EncodePayload(payload, options_.codec, prefix ? &history_ : nullptr));
  v1::Batch batch;
  batch.set_account_uid(shard_.account_uid);
  batch.set_shard(shard_.shard);
  batch.set_store_epoch(shard_.store_epoch);
  batch.set_term(shard_.term);
  batch.set_seq(++seq_);
  batch.set_codec(options_.codec);
  batch.set_raw_bytes(encoded.raw_bytes);
  batch.set_prefixed(encoded.prefixed);
  in_flight_.push_back({seq_, encoded.bytes.size(), since});
  in_flight_bytes_ += encoded.bytes.size();
  batch.set_payload(std::move(encoded.bytes));
  return batch;
}

// Both queues are in the order of their first event, but for ends that were moved.
base::Time Outbox::PendingSince() const {
  const base::Time live = live_.empty() ? base::Time::max() : live_.begin()->second.since;
  return std::min(live, parts_.empty() ? base::Time::max() : parts_.front().received);
}

base::Time Outbox::UnackedSince() const {
  const base::Time pending = PendingSince();
  return in_flight_.empty() ? pending : std::min(pending, in_flight_.front().since);
}

base::Time Outbox::NextWake() const {
  if (!in_flight_.empty() && in_flight_bytes_ >= credit_) return base::Time::max();
  base::Time wake = RipeAt();
  if (!moved_) return wake;
  for (const WatchState& watch : watches_) {
    if (!MayCheckpoint(watch)) continue;
    // A checkpoint held back by pending changes goes with them.
    const base::Time due = watch.urgent && watch.live == 0
                               ? watch.seen_at
                               : last_checkpoint_ + options_.checkpoint_interval;
    wake = std::min(wake, due);
  }
  return wake;
}

}  // namespace fairlead::wire
