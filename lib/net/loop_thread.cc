#include "lib/net/loop_thread.h"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "lib/base/check.h"
#include "lib/net/asio_loop.h"

namespace fairlead::net {
namespace {

class AsioTimer : public base::Timer {
 public:
  AsioTimer(boost::asio::io_context& io, base::Duration delay, std::function<void()> task)
      : timer_(io), task_(std::make_shared<std::function<void()>>(std::move(task))) {
    // A timer that expired but whose handler has not run yet is not stopped by cancel(): the task's
    // life is, so a destroyed timer never fires.
    const auto fire = [weak = std::weak_ptr(task_)](const boost::system::error_code& error) {
      const auto held = weak.lock();
      if (!error && held) (*held)();
    };
    // Needs no timer of the system. (And libfaketime, of the chaos driver, breaks timers of zero.)
    if (delay <= base::Duration::zero()) {
      boost::asio::post(io, [fire] { fire({}); });
      return;
    }
    timer_.expires_after(delay);
    timer_.async_wait(fire);
  }

 private:
  boost::asio::steady_timer timer_;
  std::shared_ptr<std::function<void()>> task_;
};

}  // namespace

LoopThread::LoopThread(const char* name) : impl_(std::make_unique<Impl>()) { impl_->name = name; }

LoopThread::~LoopThread() { Stop(); }

void LoopThread::Start() {
  FAIRLEAD_CHECK(!impl_->thread.joinable());
  impl_->thread = std::thread([this] { Run(); });
  pthread_setname_np(impl_->thread.native_handle(), impl_->name.substr(0, 15).c_str());
}

void LoopThread::Stop() {
  FAIRLEAD_CHECK(!OnLoopThread());
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void LoopThread::Run() {
  impl_->running_on = std::this_thread::get_id();
  impl_->io.run();
  impl_->running_on = std::thread::id();
}

void LoopThread::Quit() { impl_->io.stop(); }

void LoopThread::Post(std::function<void()> task) { boost::asio::post(impl_->io, std::move(task)); }

std::unique_ptr<base::Timer> LoopThread::After(base::Duration delay, std::function<void()> task) {
  return std::make_unique<AsioTimer>(impl_->io, delay, std::move(task));
}

const base::Clock& LoopThread::clock() const { return base::Clock::Real(); }

bool LoopThread::OnLoopThread() const { return impl_->running_on == std::this_thread::get_id(); }

}  // namespace fairlead::net
