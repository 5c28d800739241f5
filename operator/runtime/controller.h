#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/metrics/metrics.h"
#include "operator/runtime/work_queue.h"

namespace fairlead::op {

struct ReconcileResult {
  Outcome outcome = Outcome::kDone;
  std::optional<base::Duration> again_after;
};

// A work queue and the threads that reconcile its keys. A reconcile that throws is counted, logged,
// and fails its own key only. Metrics have controller-runtime's names, so that dashboards fit.
//
// Any thread may Add. Reconcile runs on one of `workers` threads, never twice at a time for a key.
class Controller {
 public:
  using Reconcile = std::function<ReconcileResult(const Key&)>;

  Controller(std::string name, int workers, Reconcile reconcile, metrics::Registry* metrics);
  ~Controller();
  void Add(const Key& key, Urgency urgency = Urgency::kUser);
  // Work begins here: call it when all that Reconcile reads is synced and leadership is held.
  void Start();
  // Takes no more keys and waits for those under way.
  void Stop();

 private:
  void Work();
  ReconcileResult Guarded(const Key& key);

  const std::string name_;
  const int workers_;
  Reconcile reconcile_;
  metrics::Counter& successes_;
  metrics::Counter& errors_;
  metrics::Counter& refused_;
  metrics::Counter& panics_;
  metrics::Histogram& seconds_;
  base::Mutex mutex_;
  base::CondVar wake_;
  WorkQueue queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fairlead::op
