#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "endpoint/fleet/board.h"
#include "endpoint/freshness/state.h"
#include "endpoint/store/reader.h"
#include "lib/base/loop.h"
#include "lib/metrics/metrics.h"

namespace fairlead::endpoint {

// Keeps the metrics of freshness: how many watches are in each state, the age of the oldest, and
// how many rows are held. Walks the accounts one after the other on the readers' loop, with pauses,
// so that a large fleet takes longer and not more: a pass takes a minute, beyond 1,200 accounts 50
// ms for each.
class FreshnessMonitor {
 public:
  // Gives every account there is to its argument, on whatever thread; perhaps never.
  using ListAccounts = std::function<void(std::function<void(std::vector<base::U128>)>)>;

  // All outlive the monitor, and `reads` is stopped before it goes; `reader` is used on `reads`.
  FreshnessMonitor(store::Reader* reader, const FleetBoard* board, ListAccounts list,
                   base::Loop* reads, metrics::Registry* metrics);
  // Any thread.
  void Start();

 private:
  struct Totals {
    std::map<Freshness, uint64_t> states;
    int64_t oldest_ms = 0;
    uint64_t held = 0;
  };
  void Pass();
  void Next();
  void Add(const base::U128& account);
  void Show();

  store::Reader* reader_;
  const FleetBoard* board_;
  ListAccounts list_;
  base::Loop* reads_;
  std::map<Freshness, metrics::Gauge*> states_;
  metrics::Gauge* oldest_;
  metrics::Gauge* held_;
  std::vector<base::U128> left_;  // of the pass under way
  base::Duration pause_{};
  Totals totals_;
  std::unique_ptr<base::Timer> timer_;
};

}  // namespace fairlead::endpoint
