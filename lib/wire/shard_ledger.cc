#include "lib/wire/shard_ledger.h"

#include <algorithm>

namespace fairlead::wire {
namespace {

constexpr uint64_t kMostFlushDelayMs = 2000;
constexpr uint64_t kLeastBeatMs = 400;
// Four round trips at the 99th percentile of a link between two regions.
constexpr uint32_t kNetworkAllowanceMs = 60;

}  // namespace

ShardLedger::ShardLedger(const Grant& grant, const Options& options)
    : grant_(grant), options_(options), received_(grant.last_seq), committed_(grant.last_seq) {}

ShardLedger::Verdict ShardLedger::Offer(const Grant& header, uint64_t seq, size_t bytes) {
  if (header.store_epoch != grant_.store_epoch || header.term != grant_.term)
    return Verdict::kStale;
  if (seq <= received_) return Verdict::kDuplicate;
  if (seq != received_ + 1) return Verdict::kGap;
  if (in_flight_bytes_ + bytes > 2 * options_.credit_bytes + options_.max_message_bytes) {
    return Verdict::kOverrun;
  }
  received_ = seq;
  in_flight_bytes_ += bytes;
  sizes_.push_back(bytes);
  return Verdict::kAccept;
}

void ShardLedger::Committed(uint64_t seq) {
  while (committed_ < seq && !sizes_.empty()) {
    in_flight_bytes_ -= sizes_.front();
    sizes_.pop_front();
    ++committed_;
  }
}

uint64_t ShardLedger::Credit(double load) const {
  const double share = std::clamp(2.0 * (1.0 - load), 0.0, 1.0);
  const auto credit = static_cast<uint64_t>(static_cast<double>(options_.credit_bytes) * share);
  return std::max(credit, options_.least_credit_bytes);
}

uint32_t FlushDelayMs(uint32_t base_ms, size_t primaries, double load) {
  // 10,000 primaries at 2 s are 5,000 wake-ups a second.
  const uint64_t for_fleet = primaries / 5;
  const double filled = std::clamp(2.0 * load - 1.0, 0.0, 1.0);
  const auto for_load = static_cast<uint64_t>(filled * static_cast<double>(kMostFlushDelayMs));
  const uint64_t wanted = std::max({uint64_t{base_ms}, for_fleet >= 20 ? for_fleet : 0, for_load});
  return static_cast<uint32_t>(std::min(wanted, kMostFlushDelayMs));
}

uint32_t BeatIntervalMs(size_t sessions) {
  return static_cast<uint32_t>(std::max<uint64_t>(kLeastBeatMs, sessions / 2));
}

uint32_t LeaseMs(uint32_t beat_interval_ms) { return 3 * (beat_interval_ms + kNetworkAllowanceMs); }

}  // namespace fairlead::wire
