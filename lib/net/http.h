#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/clock.h"

// The HTTP client interface that everything above lib/net uses; net::HttpClient (http_client.h)
// implements it over HTTP/2 (nghttp2) with an HTTP/1.1 fallback, unit/fakes over memory.
namespace fairlead::net {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct HttpRequest {
  std::string method = "GET";
  std::string target;  // path and query, percent-encoded
  Headers headers;     // no Host, no Content-Length; credentials are added by the caller
  std::string body;
};

// Watches keep their connections to themselves, so that a stalled or busy cache never delays a
// deploy (DESIGN section 6).
enum class Lane { kWatch, kCall };

struct RequestOptions {
  Lane lane = Lane::kCall;
  // Until the response headers are there; includes waiting for a connection.
  base::Duration first_byte_timeout = base::seconds(30);
  // Whole exchange; zero = none (watches).
  base::Duration total_timeout = base::seconds(60);
  // Longest silence on the stream after the headers; zero = none.
  base::Duration idle_timeout = base::Duration::zero();
};

// Receives one response. All calls on the loop thread; after OnEnd nothing more comes. Never called
// from inside HttpClient::Start.
class ResponseHandler {
 public:
  virtual ~ResponseHandler() = default;
  virtual void OnHeaders(int status, const Headers& headers) = 0;
  // A piece of the body, at most 64 KiB; the view ends with the call.
  virtual void OnData(std::string_view data) = 0;
  // OK when the response ended properly, whatever its status code. Otherwise Unavailable
  // (connection lost, GOAWAY, refused), DeadlineExceeded, Cancelled is never reported.
  virtual void OnEnd(const absl::Status& status) = 0;
};

// One exchange under way. Destroying it cancels: the handler is not called any more.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // While paused no more flow-control window is given for this stream, so the sender really stops
  // after at most one stream window (256 KiB); other streams are not held up.
  virtual void Pause() = 0;
  virtual void Resume() = 0;
};

// One server (scheme, host, port, TLS identity). Loop thread only.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // `handler` must outlive the returned stream.
  [[nodiscard]] virtual std::unique_ptr<HttpStream> Start(HttpRequest request,
                                                          const RequestOptions& options,
                                                          ResponseHandler* handler) = 0;
};

// First value of header `name` (lower case) or "".
std::string_view FindHeader(const Headers& headers, std::string_view name);

// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3), for query values and
// path segments.
std::string PercentEncode(std::string_view text);

}  // namespace fairlead::net
