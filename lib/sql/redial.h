#pragma once

#include <poll.h>

#include <chrono>

#include "absl/status/status.h"

namespace fairlead::sql {

// Spaces out attempts to reach a server: for a second after one that failed, its error is the
// answer to everybody.
class Redial {
 public:
  [[nodiscard]] absl::Status MayTry() const {
    return std::chrono::steady_clock::now() < next_try_ ? why_not_ : absl::OkStatus();
  }
  absl::Status Failed(const absl::Status& why) {
    next_try_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    return why_not_ = why;
  }

 private:
  std::chrono::steady_clock::time_point next_try_;
  absl::Status why_not_;
};

// Whether the other end has closed the connection of this socket, as far as the kernel knows.
inline bool HungUp(int socket) {
  pollfd end{socket, POLLRDHUP, 0};
  return poll(&end, 1, 0) == 1 && (end.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace fairlead::sql
