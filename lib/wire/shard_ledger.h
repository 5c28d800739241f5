#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace fairlead::wire {

// The endpoint's account of one granted shard: what was received, what is committed, and how much
// more the agent may send (DESIGN section 5, "Credit").
//
// Guarantees: batches are accepted in sequence without a gap and at most once; a batch of another
//   store epoch or term is never accepted; the bytes held for a shard stay below twice its credit
//   plus one message, whatever the agent does.
// Assumes: Committed() is called with rising sequences, after the store's commit.
// Pure; one thread.
class ShardLedger {
 public:
  struct Grant {
    uint64_t store_epoch = 0;
    uint64_t term = 0;
    uint64_t last_seq = 0;
  };
  struct Options {
    uint64_t credit_bytes = uint64_t{1} << 20;
    // What an agent gets even when the endpoint is full, so that it never starves: one batch.
    uint64_t least_credit_bytes = uint64_t{64} << 10;
    uint64_t max_message_bytes = uint64_t{4} << 20;
  };
  enum class Verdict {
    kAccept,
    kStale,      // another epoch or term: dropped, nothing to say about it
    kDuplicate,  // received before: dropped, the last ack stands
    kGap,        // a sequence is missing: the grant must start again
    kOverrun,    // far more than the credit: the grant must end
  };

  ShardLedger(const Grant& grant, const Options& options);

  [[nodiscard]] Verdict Offer(const Grant& header, uint64_t seq, size_t bytes);
  // Everything up to `seq` is committed.
  void Committed(uint64_t seq);

  // The credit to put on the next ack. `load` is how full the endpoint's queue is, 0 to 1: above
  // one half the credit shrinks linearly down to the least.
  [[nodiscard]] uint64_t Credit(double load) const;

  [[nodiscard]] uint64_t committed() const { return committed_; }
  [[nodiscard]] uint64_t received() const { return received_; }
  [[nodiscard]] uint64_t in_flight_bytes() const { return in_flight_bytes_; }
  [[nodiscard]] const Grant& grant() const { return grant_; }

 private:
  const Grant grant_;
  const Options options_;
  uint64_t received_;
  uint64_t committed_;
  uint64_t in_flight_bytes_ = 0;
  std::deque<size_t> sizes_;  // of (committed_, received_], oldest first
};

// How long agents gather changes before they send: `base_ms` for a small, idle fleet; longer when
// many primaries wake the endpoint or its queue fills; at most 2 s.
uint32_t FlushDelayMs(uint32_t base_ms, size_t primaries, double load);

// How often agents beat: two thousand beats a second for the whole fleet, and never faster than
// every 400 ms.
uint32_t BeatIntervalMs(size_t sessions);
// How long silence is tolerated: three intervals, each with an allowance for the network.
uint32_t LeaseMs(uint32_t beat_interval_ms);

}  // namespace fairlead::wire
