#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/clock.h"

namespace fairlead::op {

// What a controller works on: an object of the hub. `name_space` is also the unit of fairness.
struct Key {
  std::string name_space;
  std::string name;
  friend auto operator<=>(const Key&, const Key&) = default;
};

enum class Urgency {
  kUser,        // somebody changed something
  kBackground,  // initial list, resync: waits behind all that users did
};

enum class Outcome {
  kDone,     // converged: forget failures
  kRefused,  // wrong in a way that only a change of the object can mend: as kDone, and counted
  kRetry,    // failed: again after backoff
};

struct WorkQueueOptions {
  base::Duration first_backoff = base::milliseconds(50);
  base::Duration most_backoff = base::minutes(5);
  // Retries of all keys together: a bucket of this size, refilled at this rate.
  int retry_burst = 100;
  int retries_per_second = 10;
};

// The keys that need work. Pure: no threads, no clock of its own.
//
// Guarantees: a key is never taken twice at a time; a key added while it is worked on is worked on
//   once more after Done(); a run always starts after the last Add() before it; nothing is dropped
//   (the bound is the number of distinct keys); a namespace with many keys delays another one by at
//   most one key a turn; user edits go before background work, and background is not starved (one
//   turn in eight).
// Assumes: one thread, or its owner's lock. `now` never goes back.
// Tests: unit/operator/runtime/work_queue_test.cc.
class WorkQueue {
 public:
  explicit WorkQueue(const WorkQueueOptions& options, uint64_t seed = 1);

  void Add(const Key& key, Urgency urgency = Urgency::kUser);
  // The earliest of several deadlines counts; a delay <= 0 is Add().
  void AddAfter(const Key& key, base::Duration delay, base::Time now);
  // The next key to work on; it is then under way until Done().
  std::optional<Key> Take(base::Time now);
  // `again_after`: unless it is retried, also look at the key once more then.
  void Done(const Key& key, Outcome outcome, std::optional<base::Duration> again_after,
            base::Time now);

  // When Take() may have something, if not now. nullopt: only after an Add() or Done().
  [[nodiscard]] std::optional<base::Time> NextWake() const;
  [[nodiscard]] size_t ready() const { return queued_.size(); }
  [[nodiscard]] size_t delayed() const { return due_.size(); }
  [[nodiscard]] size_t under_way() const { return under_way_.size(); }
  // Failures in a row of `key`.
  [[nodiscard]] int failures(const Key& key) const;

 private:
  // Keys of one urgency, namespaces in turn.
  struct Lane {
    std::map<std::string, std::deque<Key>> keys;
    std::deque<std::string> turns;
    void Push(const Key& key);
    void Remove(const Key& key);
    std::optional<Key> Pop();
  };

  void PromoteDue(base::Time now);
  base::Duration RetryDelay(const Key& key, base::Time now);

  WorkQueueOptions options_;
  uint64_t random_;
  Lane lanes_[2];
  std::map<Key, Urgency> queued_;
  std::set<Key> under_way_;
  std::map<Key, Urgency> dirty_;  // added while under way
  std::map<Key, base::Time> due_;
  std::set<std::pair<base::Time, Key>> by_time_;
  std::map<Key, int> failures_;
  base::Time bucket_full_at_{};  // when the retry bucket would be full again
  uint64_t turn_ = 0;
};

}  // namespace fairlead::op
