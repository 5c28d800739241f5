#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/corpus.h"
#include "bench/workload.h"

namespace fairlead::bench {

// The body of one answer, made piece by piece as the client takes it.
class ReplayBody {
 public:
  enum class Next { kPiece, kWait, kEnd };
  virtual ~ReplayBody() = default;
  // kPiece: something was appended. kWait: nothing until the replay is released; ask again then.
  virtual Next Append(std::string* out) = 0;
};

struct ReplayAnswer {
  int status = 200;
  std::unique_ptr<ReplayBody> body;
};

// Answers as a kube-apiserver with one kind, pods, does: aggregated discovery, /version, the
// namespace kube-system, LIST with limit and continue, WATCH from a resourceVersion
// or, with sendInitialEvents=true (KEP-3157), from nothing. Objects are made on the fly: memory
// does not grow with their number. A watch gives its MODIFIED events only once Release() was
// called, then as fast as they are taken, and stays open.
//
// Any thread. Bodies must not outlive it.
class ReplayApi {
 public:
  explicit ReplayApi(const Workload& workload);
  // `target` is path and query.
  [[nodiscard]] ReplayAnswer Get(std::string_view target) const;
  void Release() { released_ = true; }
  [[nodiscard]] bool released() const { return released_; }
  // Changes that clients took so far.
  [[nodiscard]] uint64_t taken() const { return taken_; }
  void CountTaken() const { ++taken_; }

 private:
  Workload workload_;
  Corpus corpus_;
  std::atomic<bool> released_{false};
  mutable std::atomic<uint64_t> taken_{0};
};

}  // namespace fairlead::bench
