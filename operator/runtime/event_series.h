#pragma once

#include <json/value.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "lib/base/clock.h"

namespace fairlead::op {

// Something worth telling a person who looks at `regarding` (kubectl describe, kubectl events).
struct Event {
  struct Object {
    std::string api_version;
    std::string kind;
    std::string name_space;
    std::string name;
    std::string uid;
  };
  Object regarding;
  bool warning = false;
  std::string reason;  // CamelCase, at most 128 bytes
  std::string action;  // what was done, CamelCase
  std::string note;    // for people, no secrets; cut at 1 KiB
};

// Turns what happens into events.k8s.io/v1 requests: the first of its kind creates an Event, more
// of them become one series on it. Pure: no I/O, no clock of its own.
//
// Guarantees: one request at a time; the same thing again and again is one Event and ever fewer
//   patches, at last two an hour; a short series is told whole within seconds, and then nothing is
//   written; at most kMostSeries kinds are known at a time, what comes beyond is dropped and
//   counted; what cannot be written is tried again ever more seldom and given up after kTries.
// Assumes: one thread, or its owner's lock.
// Source: Kubernetes events.k8s.io/v1 (Event.series), KEP-383; client-go's event broadcaster.
// Tests: unit/operator/runtime/event_series_test.cc.
class EventSeries {
 public:
  static constexpr size_t kMostSeries = 1000;
  static constexpr int kTries = 12;

  // `instance` is this process's name; `seed` of the jitter between tries.
  EventSeries(std::string instance, uint64_t seed)
      : instance_(std::move(instance)), random_(seed) {}

  // `wall_time` is RFC 3339 with microseconds.
  void Add(const Event& event, base::Time now, const std::string& wall_time);

  struct Request {
    bool create = false;  // else a JSON patch of `name`
    std::string name_space;
    std::string name;
    Json::Value body;
  };
  // The next request that is due, if none is under way; call Done with what came of it.
  std::optional<Request> Next(base::Time now);
  enum class Result { kWritten, kGone, kFailed };  // kGone: a patch met no Event
  void Done(Result result, base::Time now);
  // When Next() may have something, if not now. Closed series are forgotten in Next().
  [[nodiscard]] std::optional<base::Time> NextWake() const;

  [[nodiscard]] int64_t dropped() const { return dropped_; }
  [[nodiscard]] size_t known() const { return series_.size(); }

 private:
  using Key = std::tuple<std::string, std::string, std::string, bool>;  // uid, reason, action, type
  struct Series {
    Event event;
    std::string name;
    std::string first_time;  // wall
    std::string last_time;
    int64_t count = 0;
    int64_t written = 0;    // the count the server knows; 0 = no Event yet
    int64_t sending = 0;    // the count in the request under way
    base::Duration wait{};  // until the next patch
    int tries = 0;          // that failed since the last one that did not
    base::Time seen{};
    std::optional<base::Time> due;  // of the next request
    // What is not told yet is told when the series closes, whatever `wait` says.
    [[nodiscard]] bool HasLastWord() const { return written > 1 && tries == 0; }
  };
  [[nodiscard]] Request RequestFor(const Series& series) const;
  static void SetDue(Series* series, base::Time now);
  void Forget(base::Time now);
  // Until the try after `tries` failures.
  base::Duration RetryIn(int tries);

  const std::string instance_;
  uint64_t random_;
  int64_t dropped_ = 0;
  uint64_t serial_ = 0;
  std::map<Key, Series> series_;
  std::optional<Key> under_way_;
};

}  // namespace fairlead::op
