#pragma once

#include <functional>
#include <memory>

#include "lib/base/clock.h"

// An event loop of one thread. Everything that lives on a loop is touched only by its thread; other
// threads reach it by Post(). lib/net has the real one (Asio); tests use unit/fakes/manual_loop.h.
namespace fairlead::base {

// Destroying the timer cancels it: its callback will not run afterwards (loop thread only).
class Timer {
 public:
  virtual ~Timer() = default;
};

class Loop {
 public:
  virtual ~Loop() = default;
  // Runs `task` on the loop's thread, later, in order. Any thread. Tasks posted after Stop are
  // dropped.
  virtual void Post(std::function<void()> task) = 0;
  // Runs `task` once after `delay`. Loop thread only.
  [[nodiscard]] virtual std::unique_ptr<Timer> After(Duration delay,
                                                     std::function<void()> task) = 0;
  [[nodiscard]] virtual const Clock& clock() const = 0;
  // True on the loop's own thread.
  [[nodiscard]] virtual bool OnLoopThread() const = 0;
};

}  // namespace fairlead::base
