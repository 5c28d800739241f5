#include "operator/runtime/work_queue.h"

#include <algorithm>
#include <utility>

#include "lib/base/backoff.h"
#include "lib/base/check.h"

namespace fairlead::op {

namespace {
// Every so many turns background work goes first.
constexpr uint64_t kBackgroundTurn = 8;
// 2^20 times the first delay is beyond any sensible ceiling.
constexpr int kMostDoublings = 20;
}  // namespace

void WorkQueue::Lane::Push(const Key& key) {
  std::deque<Key>& own = keys[key.name_space];
  if (own.empty()) turns.push_back(key.name_space);
  own.push_back(key);
}

void WorkQueue::Lane::Remove(const Key& key) {
  const auto found = keys.find(key.name_space);
  if (found == keys.end()) return;
  std::erase(found->second, key);
  if (!found->second.empty()) return;
  keys.erase(found);
  std::erase(turns, key.name_space);
}

std::optional<Key> WorkQueue::Lane::Pop() {
  if (turns.empty()) return std::nullopt;
  const std::string name_space = std::move(turns.front());
  turns.pop_front();
  const auto own = keys.find(name_space);
  Key key = std::move(own->second.front());
  own->second.pop_front();
  if (own->second.empty()) {
    keys.erase(own);
  } else {
    turns.push_back(name_space);
  }
  return key;
}

WorkQueue::WorkQueue(const WorkQueueOptions& options, uint64_t seed)
    : options_(options), random_(seed) {}

void WorkQueue::Add(const Key& key, Urgency urgency) {
  if (under_way_.contains(key)) {
    const auto [mark, fresh] = dirty_.emplace(key, urgency);
    if (!fresh) mark->second = std::min(mark->second, urgency);
    return;
  }
  const auto [entry, fresh] = queued_.emplace(key, urgency);
  if (!fresh) {
    if (urgency >= entry->second) return;
    lanes_[static_cast<int>(entry->second)].Remove(key);
    entry->second = urgency;
  }
  lanes_[static_cast<int>(urgency)].Push(key);
}

void WorkQueue::AddAfter(const Key& key, base::Duration delay, base::Time now) {
  if (delay <= base::Duration::zero()) return Add(key);
  const base::Time when = now + delay;
  const auto [entry, fresh] = due_.emplace(key, when);
  if (!fresh) {
    if (entry->second <= when) return;
    by_time_.erase({entry->second, key});
    entry->second = when;
  }
  by_time_.insert({when, key});
}

void WorkQueue::PromoteDue(base::Time now) {
  while (!by_time_.empty() && by_time_.begin()->first <= now) {
    const Key key = by_time_.begin()->second;
    by_time_.erase(by_time_.begin());
    due_.erase(key);
    Add(key);
  }
}

std::optional<Key> WorkQueue::Take(base::Time now) {
  PromoteDue(now);
  const size_t first = ++turn_ % kBackgroundTurn == 0 ? 1 : 0;
  std::optional<Key> key = lanes_[first].Pop();
  if (!key) key = lanes_[1 - first].Pop();
  if (!key) return std::nullopt;
  queued_.erase(*key);
  under_way_.insert(*key);
  return key;
}

void WorkQueue::Done(const Key& key, Outcome outcome, std::optional<base::Duration> again_after,
                     base::Time now) {
  FAIRLEAD_CHECK(under_way_.erase(key) == 1);
  if (outcome == Outcome::kRetry) {
    AddAfter(key, RetryDelay(key, now), now);
  } else {
    failures_.erase(key);
    if (again_after) AddAfter(key, *again_after, now);
  }
  if (const auto mark = dirty_.extract(key); !mark.empty()) Add(key, mark.mapped());
}

// The worse of the key's own backoff (with jitter, so that keys that failed together do not come
// back together) and the bucket of all retries.
base::Duration WorkQueue::RetryDelay(const Key& key, base::Time now) {
  const int failed = failures_[key]++;
  const base::Duration ceiling =
      std::min(options_.most_backoff,
               options_.first_backoff * (int64_t{1} << std::min(failed, kMostDoublings)));
  const auto span = static_cast<uint64_t>((ceiling / 2).count()) + 1;
  const base::Duration own =
      ceiling - base::Duration(static_cast<int64_t>(base::NextRandom(&random_) % span));

  const base::Duration each = base::Duration(base::seconds(1)) / options_.retries_per_second;
  bucket_full_at_ = std::max(bucket_full_at_, now) + each;
  const base::Duration over = bucket_full_at_ - now - each * options_.retry_burst;
  return std::max(own, over);
}

std::optional<base::Time> WorkQueue::NextWake() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

int WorkQueue::failures(const Key& key) const {
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

}  // namespace fairlead::op
