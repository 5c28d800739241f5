#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/workload.h"

namespace fairlead::bench {

// The agent; the floor pipe; a Go agent with a dynamic informer (R1a), with a typed one (R1b).
enum class Who { kAgent, kFloor, kDynamic, kTyped };
const char* NameOf(Who who);

struct RunOptions {
  std::string bin;                // folder of fairlead-agent, bench-floor, bench-rivals
  std::string dir;                // of WriteCertificates(); also takes configuration and logs
  std::vector<std::string> wrap;  // before the subject's command: a profiler
  // The sink acks the agent nothing until it has stopped taking events.
  bool stall = false;
  int64_t deadline_ms = 600'000;  // of the sync, and again of the events
};

struct RunResult {
  double sync_micros = 0;      // CPU from the start of the process to the end of the sync
  double event_micros = 0;     // CPU per event, from the release to the last one's arrival
  double wall_seconds = 0;     // of the events
  int64_t sync_peak_kib = 0;   // highest resident memory until the end of the sync
  int64_t peak_kib = 0;        // ... and of the whole run
  int64_t resident_kib = 0;    // at its end
  uint64_t events = 0;         // that the workload had
  uint64_t changes = 0;        // that arrived
  uint64_t payload_bytes = 0;  // all batches, as on the wire
};

// One subject from its start through the sync and all events of `workload`, alone with a fresh
// replay server and sink of this process. An error means that the run is void: the subject broke
// the ledger, died, or was too slow; it says which.
absl::StatusOr<RunResult> RunOnce(const RunOptions& options, const Workload& workload, Who who);

}  // namespace fairlead::bench
