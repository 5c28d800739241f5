#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/net/http.h"

// The client's end of HTTP on one connection, without I/O: Http2Session and Http1Session.
namespace fairlead::net {

// Receives one exchange's answer. A call may cancel any exchange, this one included.
class ExchangeEvents {
 public:
  virtual ~ExchangeEvents() = default;
  virtual void OnHeaders(int status, const Headers& headers) = 0;
  virtual void OnData(std::string_view data) = 0;
  // Last. OK: the answer ended properly. Unavailable: it did not.
  virtual void OnEnd(const absl::Status& status) = 0;
};

// Guarantees: every exchange begun gets exactly one OnEnd, unless it was cancelled; events come
// only
//   from within Receive() and Lost().
// Threads: one. Destroying it drops what is open without events.
class ClientProtocol {
 public:
  virtual ~ClientProtocol() = default;
  // Whether the other end has said what it allows; no Begin() before.
  [[nodiscard]] virtual bool ready() const = 0;
  // Whether Begin() may be called now.
  [[nodiscard]] virtual bool HasRoom() const = 0;
  // No new exchanges any more, ever; close the connection when open() is 0.
  [[nodiscard]] virtual bool draining() const = 0;
  [[nodiscard]] virtual size_t open() const = 0;

  // The exchange's number, from 1; 0 when the connection takes no more (it is draining then).
  // `events` must live until OnEnd or Cancel.
  virtual int64_t Begin(const HttpRequest& request, ExchangeEvents* events) = 0;
  virtual void Cancel(int64_t exchange) = 0;
  virtual void SetPaused(int64_t exchange, bool paused) = 0;
  // HTTP/1.1 can only stop a sender by not reading from its connection.
  [[nodiscard]] virtual bool WantsRead() const = 0;

  // Bytes that came. An error means that the connection is of no use any more: call Lost().
  virtual absl::Status Receive(std::string_view bytes) = 0;
  // Bytes to send, appended.
  virtual void TakeOutput(std::string* out) = 0;
  // Asks the other end for a sign of life, if the protocol can.
  virtual void Ping() = 0;
  // The connection ended (cleanly or not): ends what is open.
  virtual void Lost(const absl::Status& why) = 0;
};

}  // namespace fairlead::net
