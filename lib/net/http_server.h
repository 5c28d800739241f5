#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/loop.h"
#include "lib/net/http.h"

// An HTTP/1.1 server (RFC 9112) for our own REST, health and metrics pages.
namespace fairlead::net {

struct HttpServerRequest {
  std::string method;
  std::string path;   // as sent, percent-encoded, without the query
  std::string query;  // behind '?', as sent
  Headers headers;    // names in lower case
  std::string body;
  // Of a client certificate that was verified against ca_file; both empty without one.
  std::vector<std::string> peer_uris;  // SAN URIs
  std::string peer_address;
};

// Of an answer of our own.
inline Headers AnswerHeaders(std::string_view content_type) {
  return {{"content-type", std::string(content_type)}, {"cache-control", "no-store"}};
}

// The answer to one request, with the headers given (but for those that are none: a name or value
// with what may not be in it) and what concerns the connection: Send() once,
// or Begin(), any number of Write(), End(). Any thread. When the last reference goes before an
// answer the connection is closed; before End() the stream is cut, which the client sees as an
// error and not as an end.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;
  virtual void Send(int status, const Headers& headers, std::string body) = 0;
  void Send(int status, std::string_view content_type, std::string body) {
    Send(status, AnswerHeaders(content_type), std::move(body));
  }
  // A chunked answer of unknown length; not of a status that has no body (204, 304).
  virtual void Begin(int status, const Headers& headers) = 0;
  void Begin(int status, std::string_view content_type) {
    Begin(status, AnswerHeaders(content_type));
  }
  virtual void Write(std::string data) = 0;
  virtual void End() = 0;
  // Written but not yet taken by the network: a caller that streams stops adding beyond its bound.
  [[nodiscard]] virtual size_t QueuedBytes() const = 0;
  // `told` is called whenever QueuedBytes() became less or closed() true, on a thread of the
  // server's, until the answer has ended. Once.
  virtual void OnDrain(std::function<void()> told) = 0;
  // The client is gone; what is written now goes nowhere.
  [[nodiscard]] virtual bool closed() const = 0;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // On the server's loop. Answers now or later.
  virtual void Handle(const HttpServerRequest& request,
                      std::shared_ptr<HttpResponder> responder) = 0;
};

struct HttpServerOptions {
  std::string address;  // host:port, port 0 = any
  // PEM files; all empty = no TLS. Re-read when they change, for new connections; a bad new set is
  // logged and the last good one stays.
  std::string certificate_file;
  std::string key_file;
  std::string ca_file;  // "" = client certificates are not asked for
  int reload_seconds = 10;
  size_t max_header_bytes = size_t{16} << 10;
  size_t max_body_bytes = size_t{4} << 20;
  int max_connections = 1024;
  int request_timeout_seconds = 30;  // handshake, or one request from its first byte, or one write
  int idle_timeout_seconds = 120;    // between requests
};

// Has a thread of its own for the sockets; handlers run on `loop`. `handler` and `loop` outlive it.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           HttpHandler* handler, base::Loop* loop);
  [[nodiscard]] virtual int port() const = 0;
  // Closes the listener and every connection; afterwards no handler is called any more, except for
  // what the loop had already been given.
  virtual void Stop() = 0;
};

// The value of `name` in a query, percent-decoded ('+' is a blank); "" when absent or badly
// encoded.
std::string QueryValue(std::string_view query, std::string_view name);
// Percent-decodes; false when badly encoded.
bool PercentDecode(std::string_view text, std::string* out);

}  // namespace fairlead::net
