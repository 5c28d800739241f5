#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/workload.h"

namespace fairlead::bench {

enum class Who { kAgent, kFloor };

struct RunOptions {
  std::string bin;                // folder of fairlead-agent and bench-floor
  std::string dir;                // of WriteCertificates(); also takes configuration and logs
  std::vector<std::string> wrap;  // before the subject's command: a profiler
  // The sink acks nothing until the subject has stopped taking events.
  bool stall = false;
  int64_t deadline_ms = 600'000;  // of the sync, and again of the events
};

struct RunResult {
  double sync_micros = 0;      // CPU from the start of the process to the end of the sync
  double event_micros = 0;     // CPU per event, from the release to the last one's arrival
  double wall_seconds = 0;     // of the events
  int64_t sync_peak_kib = 0;   // highest resident memory until the end of the sync
  int64_t peak_kib = 0;        // ... and of the whole run
  uint64_t changes = 0;        // that arrived
  uint64_t payload_bytes = 0;  // all batches, as on the wire
};

// One subject from its start through the sync and all events of `workload`, alone with a fresh
// replay server and sink of this process. An error means that the run is void: the subject broke
// the ledger, died, or was too slow; it says which.
absl::StatusOr<RunResult> RunOnce(const RunOptions& options, const Workload& workload, Who who);

}  // namespace fairlead::bench
