#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "agent/account/watcher.h"

namespace fairlead::metrics {
class Registry;
}

namespace fairlead::agent {

// What an agent counts, summed over its accounts.
struct AgentStats {
  WatchCounters watches;
  size_t pending_bytes = 0;
  size_t granted = 0;
  std::map<kube::WatchState, int> states;
  bool connected = false;
  uint64_t sessions = 0;
  size_t window_bytes = 0;
  size_t backlog_bytes = 0;

  void Add(const AgentStats& other);
};

// Sets the gauges of docs/reference/metrics.md.
void Publish(const AgentStats& stats, metrics::Registry* registry);

}  // namespace fairlead::agent
