#pragma once

#include <memory>
#include <string>
#include <thread>

#include "lib/base/mutex.h"
#include "lib/metrics/metrics.h"
#include "operator/runtime/cluster_client.h"
#include "operator/runtime/event_series.h"

namespace fairlead::op {

// The I/O of EventSeries: writes Events on a thread of its own, through a client of its own, so
// that a slow or refusing server delays Events and nothing else. Record() may be called from any
// thread and never waits for the network.
class EventRecorder {
 public:
  EventRecorder(std::shared_ptr<ClusterClient> hub, std::string instance,
                metrics::Registry* metrics);
  ~EventRecorder();
  void Start();
  // What is not written by then is lost: Events are for people, not for programs.
  void Stop();
  void Record(const Event& event);

 private:
  void Work();
  void TellDropped();
  EventSeries::Result Send(const EventSeries::Request& request);

  std::shared_ptr<ClusterClient> hub_;
  metrics::Counter& dropped_;
  base::Mutex mutex_;
  base::CondVar wake_;
  EventSeries series_;
  int64_t told_dropped_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fairlead::op
