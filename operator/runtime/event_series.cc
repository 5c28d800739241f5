#include "operator/runtime/event_series.h"

#include <algorithm>
#include <utility>

#include "lib/base/backoff.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace fairlead::op {

namespace {

using base::Clipped;
using base::StrCat;

constexpr base::Duration kClosedAfter = base::minutes(6);  // of silence
// Between patches of a series that goes on: doubling, so that a short one is told soon and whole.
constexpr base::Duration kFirstWait = base::seconds(10);
constexpr base::Duration kMostWait = base::minutes(30);
// Between tries of what failed: doubling, each plus as much again at random.
constexpr base::Duration kFirstRetry = base::seconds(5);
constexpr base::Duration kMostRetry = base::minutes(1);
constexpr size_t kMostNote = 1024;
constexpr size_t kMostName = 180;

}  // namespace

void EventSeries::Add(const Event& event, base::Time now, const std::string& wall_time) {
  const Key key{event.regarding.uid, event.reason, event.action, event.warning};
  auto found = series_.find(key);
  if (found == series_.end()) {
    if (series_.size() >= kMostSeries) Forget(now);
    if (series_.size() >= kMostSeries) {
      ++dropped_;
      return;
    }
    Series fresh;
    fresh.event = event;
    fresh.first_time = wall_time;
    fresh.name = StrCat(event.regarding.name.substr(0, kMostName), ".",
                        base::Sha256Hex(StrCat(instance_, "/", ++serial_, "/", wall_time, "/",
                                               event.regarding.uid, "/", event.reason))
                            .substr(0, 16));
    fresh.due = now;
    found = series_.emplace(key, std::move(fresh)).first;
  }
  Series& series = found->second;
  ++series.count;
  series.seen = now;
  series.last_time = wall_time;
  // The second one makes it a series at once, the others wait for the refresh.
  if (key != under_way_) SetDue(&series, now);
}

void EventSeries::SetDue(Series* series, base::Time now) {
  if (series->due || series->count == series->written) return;
  series->due = now + series->wait;
}

void EventSeries::Forget(base::Time now) {
  for (auto it = series_.begin(); it != series_.end();) {
    Series& one = it->second;
    const bool closed = now - one.seen >= kClosedAfter && it->first != under_way_;
    if (closed && one.written == one.count) {
      it = series_.erase(it);
      continue;
    }
    // Its last word; after a failure that waits as any other.
    if (closed && one.HasLastWord()) one.due = std::min(one.due.value_or(now), now);
    ++it;
  }
}

std::optional<EventSeries::Request> EventSeries::Next(base::Time now) {
  Forget(now);
  if (under_way_) return std::nullopt;
  auto best = series_.end();
  for (auto it = series_.begin(); it != series_.end(); ++it) {
    if (!it->second.due || *it->second.due > now) continue;
    if (best == series_.end() || *it->second.due < *best->second.due) best = it;
  }
  if (best == series_.end()) return std::nullopt;
  under_way_ = best->first;
  best->second.due.reset();
  best->second.sending = best->second.count;
  return RequestFor(best->second);
}

EventSeries::Request EventSeries::RequestFor(const Series& series) const {
  const Event::Object& of = series.event.regarding;
  Request request;
  request.create = series.written == 0;
  request.name_space = of.name_space.empty() ? "default" : of.name_space;
  request.name = series.name;
  Json::Value progress;
  progress["count"] = Json::Int64(series.count);
  progress["lastObservedTime"] = series.last_time;
  if (!request.create) {
    Json::Value add;
    add["op"] = "add";
    add["path"] = "/series";
    add["value"] = std::move(progress);
    request.body.append(std::move(add));
    return request;
  }
  Json::Value& body = request.body;
  body["apiVersion"] = "events.k8s.io/v1";
  body["kind"] = "Event";
  body["metadata"]["name"] = series.name;
  body["metadata"]["namespace"] = request.name_space;
  body["eventTime"] = series.first_time;
  body["reportingController"] = "fairlead.dev/operator";
  body["reportingInstance"] = Clipped(instance_, 128);
  body["type"] = series.event.warning ? "Warning" : "Normal";
  body["reason"] = Clipped(series.event.reason, 128);
  body["action"] = Clipped(series.event.action, 128);
  body["note"] = Clipped(series.event.note, kMostNote);
  body["regarding"]["apiVersion"] = of.api_version;
  body["regarding"]["kind"] = of.kind;
  body["regarding"]["name"] = of.name;
  if (!of.name_space.empty()) body["regarding"]["namespace"] = of.name_space;
  body["regarding"]["uid"] = of.uid;
  if (series.count > 1) body["series"] = std::move(progress);
  return request;
}

void EventSeries::Done(Result result, base::Time now) {
  if (!under_way_) return;
  const auto found = series_.find(*under_way_);
  under_way_.reset();
  Series& series = found->second;
  switch (result) {
    case Result::kWritten:
      series.tries = 0;
      if (series.written > 0)
        series.wait = std::clamp<base::Duration>(series.wait * 2, kFirstWait, kMostWait);
      series.written = series.sending;
      SetDue(&series, now);  // for what came while it was under way
      return;
    case Result::kGone:
      series.written = 0;
      series.due = now;
      [[fallthrough]];
    case Result::kFailed:
      if (++series.tries >= kTries) {
        ++dropped_;
        series_.erase(found);
        return;
      }
      if (result == Result::kFailed) series.due = now + RetryIn(series.tries);
      return;
  }
}

base::Duration EventSeries::RetryIn(int tries) {
  base::Duration least = kFirstRetry;
  for (int i = 1; i < tries && least < kMostRetry; ++i) least *= 2;
  least = std::min<base::Duration>(least, kMostRetry);
  const auto jitter = base::NextRandom(&random_) % static_cast<uint64_t>(least.count());
  return least + base::Duration(static_cast<int64_t>(jitter));
}

std::optional<base::Time> EventSeries::NextWake() const {
  std::optional<base::Time> wake;
  if (under_way_) return wake;
  for (const auto& [key, one] : series_) {
    base::Time when = one.due.value_or(one.seen + kClosedAfter);
    if (one.HasLastWord()) when = std::min(when, one.seen + kClosedAfter);
    wake = std::min(wake.value_or(when), when);
  }
  return wake;
}

}  // namespace fairlead::op
