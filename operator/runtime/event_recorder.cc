#include "operator/runtime/event_recorder.h"

#include <algorithm>
#include <utility>

#include "lib/base/hash.h"
#include "lib/json/dom.h"
#include "lib/log/log.h"
#include "lib/metrics/names.h"
#include "operator/runtime/micro_time.h"

namespace fairlead::op {

namespace {
const kube::ResourceType kEvents{"events.k8s.io", "v1", "events", "Event", true};
constexpr char kManager[] = "fairlead-operator";
}  // namespace

EventRecorder::EventRecorder(std::shared_ptr<ClusterClient> hub, std::string instance,
                             metrics::Registry* metrics)
    : hub_(std::move(hub)),
      dropped_(metrics->GetCounter(metrics::kEventsDropped, "Events that were never written")),
      series_(std::move(instance), base::RandomU128().lo) {}

EventRecorder::~EventRecorder() { Stop(); }

void EventRecorder::Start() {
  thread_ = std::thread([this] { Work(); });
}

void EventRecorder::Stop() {
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EventRecorder::Record(const Event& event) {
  const base::Clock& clock = base::Clock::Real();
  {
    const base::MutexLock lock(mutex_);
    series_.Add(event, clock.Now(), MicroTime(clock));
  }
  wake_.notify_one();
}

EventSeries::Result EventRecorder::Send(const EventSeries::Request& request) {
  const kube::ObjectName name{kEvents, request.name_space, request.name};
  const std::string body = json::WriteJson(request.body);
  const kube::ApiAnswer answer =
      request.create ? hub_->Create(name, body, kManager) : hub_->JsonPatch(name, body, kManager);
  if (!answer.error) return EventSeries::Result::kWritten;
  const kube::Reason reason = answer.error->reason;
  // Its answer was lost the first time.
  if (request.create && reason == kube::Reason::kAlreadyExists)
    return EventSeries::Result::kWritten;
  log::Debug("event not written", {{"error", kube::ToStatus(*answer.error)}});
  return !request.create && reason == kube::Reason::kNotFound ? EventSeries::Result::kGone
                                                              : EventSeries::Result::kFailed;
}

void EventRecorder::TellDropped() {
  const int64_t before = std::exchange(told_dropped_, series_.dropped());
  dropped_.Add(static_cast<double>(told_dropped_ - before));
}

void EventRecorder::Work() {
  const base::Clock& clock = base::Clock::Real();
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    const auto request = series_.Next(clock.Now());
    TellDropped();
    if (request) {
      lock.unlock();
      const EventSeries::Result result = Send(*request);
      lock.lock();
      series_.Done(result, clock.Now());
      continue;
    }
    if (const auto next = series_.NextWake()) {
      wake_.wait_for(lock, std::max<base::Duration>(*next - clock.Now(), base::milliseconds(10)));
    } else {
      wake_.wait(lock);
    }
  }
  TellDropped();
}

}  // namespace fairlead::op
