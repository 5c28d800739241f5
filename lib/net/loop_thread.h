#pragma once

#include <memory>

#include "lib/base/loop.h"

namespace fairlead::net {

// A base::Loop over Boost.Asio: on a thread of its own (Start, Stop), or on the caller's (Run,
// Quit).
//
// Post and Quit may be called from any thread, also from the loop. What is still queued at the end
// is destroyed without being run, on the thread that destroys the loop. Timers must be gone before
// the loop is.
class LoopThread : public base::Loop {
 public:
  explicit LoopThread(const char* name);  // thread name, at most 15 characters
  ~LoopThread() override;                 // stops
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  void Start();
  // Ends the thread after the task that runs now. Not from the loop itself. Idempotent.
  void Stop();

  // Runs the loop on the calling thread until Quit().
  void Run();
  void Quit();

  void Post(std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<base::Timer> After(base::Duration delay,
                                                   std::function<void()> task) override;
  [[nodiscard]] const base::Clock& clock() const override;
  [[nodiscard]] bool OnLoopThread() const override;

  // For lib/net's own .cc files (asio_loop.h).
  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::net
