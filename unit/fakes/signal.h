#pragma once

#include <utility>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"

namespace fairlead::fakes {

// State that several threads of a test share and wait for, without sleeping: whoever changes it
// does so inside Update(), whoever waits for it is woken by each change. Neither may nest.
class Signal {
 public:
  template <typename Change>
  void Update(Change&& change) {
    const base::MutexLock lock(mutex_);
    std::forward<Change>(change)();
    changed_.notify_all();
  }
  // Whether `wanted` came true before a limit that only a broken test meets.
  template <typename Predicate>
  [[nodiscard]] bool Wait(Predicate&& wanted) {
    base::MutexLock lock(mutex_);
    return changed_.wait_for(lock, base::seconds(10), std::forward<Predicate>(wanted));
  }
  template <typename Read>
  [[nodiscard]] auto Get(Read&& read) {
    const base::MutexLock lock(mutex_);
    return std::forward<Read>(read)();
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
};

}  // namespace fairlead::fakes
