#include "agent/stats.h"

#include "lib/metrics/metrics.h"
#include "lib/metrics/names.h"

namespace fairlead::agent {

void AgentStats::Add(const AgentStats& other) {
  watches.Add(other.watches);
  pending_bytes += other.pending_bytes;
  granted += other.granted;
  for (const auto& [state, count] : other.states) states[state] += count;
}

void Publish(const AgentStats& stats, metrics::Registry* registry) {
  namespace names = metrics;
  const auto set = [&](const char* name, const char* help, auto value) {
    registry->GetGauge(name, help).Set(static_cast<double>(value));
  };
  const WatchCounters& sum = stats.watches;
  set(names::kAgentEvents, "Watch events read", sum.events);
  set(names::kAgentItems, "List items read", sum.items);
  set(names::kAgentChanges, "Changes put into the outbox", sum.changes);
  set(names::kAgentUnchanged, "Events dropped, as the content was sent before", sum.unchanged);
  set(names::kAgentInvalid, "Events and items that could not be read", sum.invalid);
  set(names::kAgentOversize, "Events and items beyond the size limit", sum.oversize);
  set(names::kAgentLists, "Pages of full lists asked for", sum.lists);
  set(names::kAgentRereads, "Objects read again for a snapshot", sum.rereads);
  set(names::kAgentPendingBytes, "Bytes waiting to be sent", stats.pending_bytes);
  set(names::kAgentGranted, "Accounts granted to this agent", stats.granted);
  set(names::kAgentConnected, "1 while a session is open", stats.connected ? 1 : 0);
  set(names::kAgentSessions, "Sessions opened", stats.sessions);
  set(names::kAgentWindow, "Bytes that may be on their way to the endpoint", stats.window_bytes);
  set(names::kAgentBacklog, "Bytes of batches that wait for the line", stats.backlog_bytes);
  for (const kube::WatchState state :
       {kube::WatchState::kIdle, kube::WatchState::kChecking, kube::WatchState::kAdmission,
        kube::WatchState::kListing, kube::WatchState::kWatching, kube::WatchState::kForbidden,
        kube::WatchState::kMissing}) {
    const auto count = stats.states.find(state);
    registry
        ->GetGauge(names::kAgentWatches, "Watches by state",
                   {{"state", std::string(kube::WatchStateName(state))}})
        .Set(count == stats.states.end() ? 0 : count->second);
  }
}

}  // namespace fairlead::agent
