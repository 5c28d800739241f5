#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Handles over prometheus-cpp. A handle is made once, kept, and used without locks; names live in
// lib/metrics/names.h and nowhere else. Thread-safe.
namespace fairlead::metrics {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Add(double amount = 1) = 0;
  [[nodiscard]] virtual double Value() const = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual void Add(double amount) = 0;
  [[nodiscard]] virtual double Value() const = 0;
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

// Owns its handles: they live as long as the registry. Asking twice for one name and labels gives
// the same handle.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& GetCounter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& GetGauge(std::string_view name, std::string_view help, const Labels& labels = {});
  // `buckets` ascending, in the metric's unit.
  Histogram& GetHistogram(std::string_view name, std::string_view help,
                          const std::vector<double>& buckets, const Labels& labels = {});
  // Prometheus text format 0.0.4.
  [[nodiscard]] std::string Render() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::metrics
