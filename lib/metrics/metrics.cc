#include "lib/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>

#include "lib/base/mutex.h"

namespace fairlead::metrics {
namespace {

class CounterHandle : public Counter {
 public:
  explicit CounterHandle(prometheus::Counter& counter) : counter_(counter) {}
  void Add(double amount) override { counter_.Increment(amount); }
  [[nodiscard]] double Value() const override { return counter_.Value(); }

 private:
  prometheus::Counter& counter_;
};

class GaugeHandle : public Gauge {
 public:
  explicit GaugeHandle(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }
  void Add(double amount) override { gauge_.Increment(amount); }
  [[nodiscard]] double Value() const override { return gauge_.Value(); }

 private:
  prometheus::Gauge& gauge_;
};

class HistogramHandle : public Histogram {
 public:
  explicit HistogramHandle(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

}  // namespace

struct Registry::State {
  using Key = std::pair<std::string, Labels>;
  mutable base::Mutex mutex;
  prometheus::Registry registry;
  std::map<Key, std::unique_ptr<Counter>> counters;
  std::map<Key, std::unique_ptr<Gauge>> gauges;
  std::map<Key, std::unique_ptr<Histogram>> histograms;
};

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Counter& Registry::GetCounter(std::string_view name, std::string_view help, const Labels& labels) {
  const base::MutexLock lock(state_->mutex);
  auto& handle = state_->counters[{std::string(name), labels}];
  if (handle == nullptr) {
    auto& family = prometheus::BuildCounter()
                       .Name(std::string(name))
                       .Help(std::string(help))
                       .Register(state_->registry);
    handle = std::make_unique<CounterHandle>(family.Add(labels));
  }
  return *handle;
}

Gauge& Registry::GetGauge(std::string_view name, std::string_view help, const Labels& labels) {
  const base::MutexLock lock(state_->mutex);
  auto& handle = state_->gauges[{std::string(name), labels}];
  if (handle == nullptr) {
    auto& family = prometheus::BuildGauge()
                       .Name(std::string(name))
                       .Help(std::string(help))
                       .Register(state_->registry);
    handle = std::make_unique<GaugeHandle>(family.Add(labels));
  }
  return *handle;
}

Histogram& Registry::GetHistogram(std::string_view name, std::string_view help,
                                  const std::vector<double>& buckets, const Labels& labels) {
  const base::MutexLock lock(state_->mutex);
  auto& handle = state_->histograms[{std::string(name), labels}];
  if (handle == nullptr) {
    auto& family = prometheus::BuildHistogram()
                       .Name(std::string(name))
                       .Help(std::string(help))
                       .Register(state_->registry);
    handle = std::make_unique<HistogramHandle>(
        family.Add(labels, prometheus::Histogram::BucketBoundaries(buckets)));
  }
  return *handle;
}

std::string Registry::Render() const {
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace fairlead::metrics
