#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "endpoint/fleet/board.h"
#include "endpoint/store/replica_rows.h"
#include "lib/base/clock.h"

namespace fairlead::metrics {
class Registry;
}

namespace fairlead::endpoint {

struct CoordinatorOptions {
  base::Duration look_every = base::milliseconds(100);
  base::Duration beat_every = base::milliseconds(250);
};

// Who hears what other replicas did; called on the coordinator's thread: post to a loop.
class CoordinatorListener {
 public:
  virtual ~CoordinatorListener() = default;
  // No live replica holds these accounts, which this one waits for.
  virtual void OnFree(std::vector<base::U128> accounts) = 0;
  // The registry's version is another.
  virtual void OnRegistry() = 0;
  // The database was away, or others held this replica for dead: its shards may be another's, and
  // the database may have lost commits.
  virtual void OnDoubt() = 0;
  // Others held this replica for dead, and with it what it waits for: it must be asked for again.
  virtual void OnForgotten() = 0;
};

// This replica's part among the replicas of the endpoint: beats, buries the dead, tells what is
// free, and exchanges what is known of agents. A thread and a database connection of its own.
//
// Guarantees: with the database away nothing moves; Stop() hands this replica's shards over at once
//   when the database is there.
// Threads: Changed() and problem() may be called by any; Stop() by whoever made it.
class Coordinator {
 public:
  // All pointers outlive the coordinator.
  Coordinator(const CoordinatorOptions& options, std::unique_ptr<store::ReplicaRows> rows,
              std::string self, FleetBoard* board, CoordinatorListener* listener,
              const base::Clock* clock, metrics::Registry* registry);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // What is known here of the account's agents changed.
  void Changed(const base::U128& account);
  // Why other replicas cannot be seen now, for people; "" when they can. Any thread.
  [[nodiscard]] std::string problem() const;
  // Blocks for as long as a statement to the database may take.
  void Stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::endpoint
