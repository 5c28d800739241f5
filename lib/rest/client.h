#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"

namespace fairlead::rest {

struct ClientOptions {
  std::string base_url;         // https://host:port, or http:// on a loopback address only
  std::string ca_pem;           // what the server is verified with; "" = the system's roots
  std::string certificate_pem;  // client certificate chain; "" = none
  std::string key_pem;
  std::string bearer_token;  // "" = none
  std::string user_agent = "fairlead";
  base::Duration timeout = base::seconds(10);  // a whole exchange
  size_t max_answer_bytes = size_t{64} << 20;
};

struct Answer {
  int code = 0;
  std::string body;
  [[nodiscard]] bool ok() const { return code >= 200 && code < 300; }
};

// One server's REST API, called and waited for. For control-plane traffic over cpprestsdk; nothing
// is sent twice. Every status code is an Answer; errors are what kept an answer from coming:
// Unavailable (no connection, broken off), DeadlineExceeded, ResourceExhausted (an answer that is
// too long). Any thread, several at a time.
class Client {
 public:
  // InvalidArgument for a URL, certificate or key that cannot be used, or a token over http.
  static absl::StatusOr<std::unique_ptr<Client>> Make(const ClientOptions& options);
  virtual ~Client() = default;

  // `path` begins with '/' and is percent-encoded; `body` is JSON, "" = none.
  [[nodiscard]] virtual absl::StatusOr<Answer> Call(std::string_view method, std::string_view path,
                                                    std::string_view body) = 0;
};

}  // namespace fairlead::rest
