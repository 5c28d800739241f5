#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "lib/base/loop.h"
#include "lib/base/mutex.h"

namespace fairlead::fakes {

// A base::Loop that a test turns by hand, with a clock that only Advance() moves.
// Run() and Advance() make the calling thread the loop's thread; Post() is safe from any thread.
class ManualLoop : public base::Loop {
 public:
  void Post(std::function<void()> task) override {
    base::MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }

  [[nodiscard]] std::unique_ptr<base::Timer> After(base::Duration delay,
                                                   std::function<void()> task) override {
    const Key key{clock_.Now() + delay, next_id_++};
    timers_.emplace(key, std::move(task));
    return std::make_unique<Handle>(this, key);
  }

  [[nodiscard]] const base::Clock& clock() const override { return clock_; }
  [[nodiscard]] bool OnLoopThread() const override { return true; }

  // Runs what was posted, and what that posts, until nothing is left.
  void Run() {
    while (std::function<void()> task = Take()) task();
  }

  // Moves the clock and runs what falls due, in order of time.
  void Advance(base::Duration by) {
    Run();
    const base::Time until = clock_.Now() + by;
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      auto next = timers_.extract(timers_.begin());
      if (next.key().first > clock_.Now()) clock_.Advance(next.key().first - clock_.Now());
      next.mapped()();
      Run();
    }
    clock_.Advance(until - clock_.Now());
  }

  [[nodiscard]] size_t timers() const { return timers_.size(); }

 private:
  using Key = std::pair<base::Time, uint64_t>;

  class Handle : public base::Timer {
   public:
    Handle(ManualLoop* loop, Key key) : loop_(loop), key_(key) {}
    ~Handle() override { loop_->timers_.erase(key_); }

   private:
    ManualLoop* loop_;
    Key key_;
  };

  std::function<void()> Take() {
    base::MutexLock lock(mutex_);
    if (tasks_.empty()) return nullptr;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

  base::ManualClock clock_;
  base::Mutex mutex_;
  std::deque<std::function<void()>> tasks_;
  std::map<Key, std::function<void()>> timers_;
  uint64_t next_id_ = 0;
};

}  // namespace fairlead::fakes
