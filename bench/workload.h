#pragma once

#include <cstdint>

namespace fairlead::bench {

// What a replay run consists of: `objects` pods that exist, then `events` changes of them. The
// server makes it and the sink checks it, each from this alone.
//
// Changes walk through all objects in a scattered order before any comes again, so that nothing is
// coalesced as long as less than a round is pending.
struct Workload {
  static constexpr uint64_t kFirstVersion = 100'000'000'000;  // resourceVersions have 12 digits
  static constexpr uint64_t kStride = 7919;                   // prime

  uint64_t objects = 5000;
  uint64_t events = 100'000;

  [[nodiscard]] uint64_t ListVersion() const { return kFirstVersion + objects; }
  // The resourceVersion of object `index` before any event.
  [[nodiscard]] uint64_t InitialVersion(uint64_t index) const { return kFirstVersion + index + 1; }
  [[nodiscard]] uint64_t ObjectOf(uint64_t event) const { return event * kStride % objects; }
  // The resourceVersion of event `event`, from 0; the object's version number is event + 1.
  [[nodiscard]] uint64_t EventVersion(uint64_t event) const { return ListVersion() + event + 1; }
};

}  // namespace fairlead::bench
