#include "operator/runtime/controller.h"

#include <exception>
#include <utility>

#include "lib/base/hash.h"
#include "lib/log/log.h"
#include "lib/metrics/names.h"

namespace fairlead::op {

Controller::Controller(std::string name, int workers, Reconcile reconcile,
                       metrics::Registry* metrics)
    : name_(std::move(name)),
      workers_(workers),
      reconcile_(std::move(reconcile)),
      successes_(metrics->GetCounter(metrics::kReconcileTotal, "reconciles by result",
                                     {{"controller", name_}, {"result", "success"}})),
      errors_(metrics->GetCounter(metrics::kReconcileTotal, "reconciles by result",
                                  {{"controller", name_}, {"result", "error"}})),
      refused_(metrics->GetCounter(metrics::kReconcileTerminal,
                                   "reconciles that only a change of the object can mend",
                                   {{"controller", name_}})),
      panics_(metrics->GetCounter(metrics::kReconcilePanics, "reconciles that threw",
                                  {{"controller", name_}})),
      seconds_(metrics->GetHistogram(metrics::kReconcileSeconds, "duration of reconciles",
                                     {0.005, 0.02, 0.1, 0.5, 1, 5, 10, 30, 60},
                                     {{"controller", name_}})),
      queue_({}, base::RandomU128().lo) {}

Controller::~Controller() { Stop(); }

void Controller::Add(const Key& key, Urgency urgency) {
  {
    const base::MutexLock lock(mutex_);
    queue_.Add(key, urgency);
  }
  wake_.notify_one();
}

void Controller::Start() {
  for (int i = 0; i < workers_; ++i) threads_.emplace_back([this] { Work(); });
}

void Controller::Stop() {
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& one : threads_) one.join();
  threads_.clear();
}

ReconcileResult Controller::Guarded(const Key& key) {
  try {
    return reconcile_(key);
  } catch (const std::exception& thrown) {
    panics_.Add();
    log::Error("reconcile threw", {{"controller", name_},
                                   {"namespace", key.name_space},
                                   {"name", key.name},
                                   {"error", thrown.what()}});
    return {Outcome::kRetry, std::nullopt};
  }
}

void Controller::Work() {
  const base::Clock& clock = base::Clock::Real();
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    const std::optional<Key> key = queue_.Take(clock.Now());
    if (!key) {
      const auto next = queue_.NextWake();
      if (next) {
        wake_.wait_for(lock, std::max<base::Duration>(*next - clock.Now(), base::milliseconds(1)));
      } else {
        wake_.wait(lock);
      }
      continue;
    }
    lock.unlock();
    const base::Time began = clock.Now();
    const ReconcileResult result = Guarded(*key);
    seconds_.Observe(std::chrono::duration<double>(clock.Now() - began).count());
    (result.outcome == Outcome::kDone ? successes_ : errors_).Add();
    if (result.outcome == Outcome::kRefused) refused_.Add();
    lock.lock();
    queue_.Done(*key, result.outcome, result.again_after, clock.Now());
    wake_.notify_one();
  }
}

}  // namespace fairlead::op
