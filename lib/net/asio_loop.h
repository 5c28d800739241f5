#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <thread>

#include "lib/net/loop_thread.h"

// The inside of LoopThread. Heavy: for .cc files of lib/net.
namespace fairlead::net {

struct LoopThread::Impl {
  std::string name;
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::atomic<std::thread::id> running_on{};
  std::thread thread;
};

}  // namespace fairlead::net
