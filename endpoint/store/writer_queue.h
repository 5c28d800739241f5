#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "endpoint/store/types.h"

namespace fairlead::endpoint::store {

class Store;

// What writes the database, as the sessions see it: WriterThread in an endpoint, a stand-in on one
// loop in simulations.
//
// Guarantees: `done` of a batch runs after its commit, in submission order for one shard; batches
//   and tasks keep their order; what was accepted is tried until it is decided.
// Threads: any may call. Callbacks run wherever the writer runs: post them to a loop.
class WriterQueue {
 public:
  using BatchDone = std::function<void(BatchResult)>;
  // Runs between transactions.
  using Task = std::function<void(Store& store)>;

  virtual ~WriterQueue() = default;
  // ResourceExhausted when the queue is full: `done` is not called then; the caller's credit should
  // have prevented it. Unavailable after the writer's stop.
  virtual absl::Status Submit(Batch batch, BatchDone done) = 0;
  // Unavailable after the writer's stop (the task is dropped).
  virtual absl::Status Do(Task task) = 0;
  // Store::NewTerm between transactions, and the shard's snapshots are forgotten.
  virtual absl::Status NewTerm(const ShardKey& key, std::string holder, std::vector<Seen> seen,
                               std::function<void(absl::StatusOr<Term>)> done) = 0;
  [[nodiscard]] virtual size_t queued_bytes() const = 0;
};

}  // namespace fairlead::endpoint::store
