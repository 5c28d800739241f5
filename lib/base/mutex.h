#pragma once

#include <condition_variable>
#include <mutex>

// The one mutex of the code base, over std::mutex: the thread sanitizer understands it, which it
// does not do for Debian's uninstrumented abseil.
namespace fairlead::base {

using Mutex = std::mutex;
using MutexLock = std::unique_lock<std::mutex>;
using CondVar = std::condition_variable;

}  // namespace fairlead::base
