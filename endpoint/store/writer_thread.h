#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "endpoint/store/store.h"
#include "endpoint/store/types.h"
#include "endpoint/store/writer.h"
#include "endpoint/store/writer_queue.h"
#include "lib/base/clock.h"

namespace fairlead::metrics {
class Registry;
}

namespace fairlead::endpoint::store {

struct WriterThreadOptions {
  size_t queue_bytes = size_t{64} << 20;
  size_t group_bytes = size_t{4} << 20;  // most in one transaction
  base::Duration retry_first = base::milliseconds(100);
  base::Duration retry_most = base::seconds(1);
  WriterOptions writer;  // but the replica: that is the store's
};

// The one thread that writes the database: groups the batches that wait into one transaction, and
// runs the store's other writes between transactions.
//
// Guarantees: `done` of a batch runs after its commit, in submission order for one shard; nothing
//   accepted is lost while the process lives: with a full disk or an I/O error the same batches are
//   tried again with backoff, and healthy() is false meanwhile; what Store::Reap() removes goes
//   every 30 s, and every second while there is more, however busy the store is.
// Threads: any may call but Stop(). Callbacks run on the writer's thread; keep them short.
// Bounds: queue_bytes; one batch is always let in when the queue is empty.
class WriterThread : public WriterQueue {
 public:
  // `store` must outlive the thread and is touched by nobody else until Stop(). `registry` may be
  // null.
  WriterThread(Store* store, const WriterThreadOptions& options, metrics::Registry* registry);
  ~WriterThread() override;
  WriterThread(const WriterThread&) = delete;
  WriterThread& operator=(const WriterThread&) = delete;

  absl::Status Submit(Batch batch, BatchDone done) override;
  absl::Status Do(Task task) override;
  absl::Status NewTerm(const ShardKey& key, std::string holder, std::vector<Seen> seen,
                       std::function<void(absl::StatusOr<Term>)> done) override;
  [[nodiscard]] size_t queued_bytes() const override;

  [[nodiscard]] bool healthy() const;
  // Why not, for people; "" when healthy.
  [[nodiscard]] std::string problem() const;

  // Finishes what is queued, for at most `deadline`; what is left is answered Unavailable.
  void Stop(base::Duration deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::endpoint::store
