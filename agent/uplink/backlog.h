#pragma once

#include <atomic>
#include <cstddef>

namespace fairlead::agent {

// The bytes of batches that were made and are not on the line yet, so that accounts stop making
// more while the line is slow: what changes meanwhile is coalesced where it is.
//
// Thread-safe. Bounds: each account may add one batch beyond the limit.
class Backlog {
 public:
  void Add(size_t bytes) { bytes_ += bytes; }
  // True if there is room again and was none before.
  [[nodiscard]] bool Remove(size_t bytes) {
    const size_t before = bytes_.fetch_sub(bytes);
    const size_t limit = limit_;
    return before >= limit && before - bytes < limit;
  }
  [[nodiscard]] bool SetLimit(size_t limit) {
    const size_t before = limit_.exchange(limit);
    const size_t bytes = bytes_;
    return bytes >= before && bytes < limit;
  }
  [[nodiscard]] bool full() const { return bytes_ >= limit_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  std::atomic<size_t> bytes_ = 0;
  std::atomic<size_t> limit_ = size_t{8} << 10;
};

}  // namespace fairlead::agent
