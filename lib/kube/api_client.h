#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/loop.h"
#include "lib/kube/errors.h"
#include "lib/kube/kubeconfig.h"
#include "lib/net/http.h"

namespace fairlead::kube {

struct ApiAnswer {
  int code = 0;  // HTTP; 0 = none came
  net::Headers headers;
  std::string body;
  std::optional<ApiError> error;  // of every answer that is not 2xx, and of none at all
  [[nodiscard]] bool ok() const { return !error.has_value(); }
};

struct CallOptions {
  base::Duration timeout = base::seconds(60);
  size_t max_bytes = size_t{4} << 20;  // a longer answer is an error
};

// One API server as one identity: adds the bearer token (read again as TokenSource says, and after
// a 401) and User-Agent to requests. Nothing is sent twice: whether to try again is the caller's.
//
// Loop thread only. Handles and streams must go before the client, the client before its transport.
class ApiClient {
 public:
  using Callback = std::function<void(ApiAnswer)>;
  // A call under way. Destroying it cancels: the callback is not run any more.
  class Call;

  // Both pointers outlive the client.
  ApiClient(net::HttpTransport* transport, base::Loop* loop, TokenSource token,
            std::string user_agent);
  ~ApiClient();

  // For small answers. `callback` runs once, on the loop, never from inside Start; it may destroy
  // the handle.
  [[nodiscard]] std::unique_ptr<Call> Start(net::HttpRequest request, const CallOptions& options,
                                            Callback callback);

  // For lists and watches: the answer goes to `handler` as it comes, which reports a 401 by
  // Unauthorized().
  [[nodiscard]] std::unique_ptr<net::HttpStream> Stream(net::HttpRequest request,
                                                        const net::RequestOptions& options,
                                                        net::ResponseHandler* handler);
  void Unauthorized() { token_.Refused(); }

 private:
  void AddHeaders(net::HttpRequest* request);

  net::HttpTransport* transport_;
  base::Loop* loop_;
  TokenSource token_;
  std::string user_agent_;
};

class ApiClient::Call : public net::ResponseHandler {
 public:
  Call(ApiClient* client, const CallOptions& options, Callback callback);
  ~Call() override;

  void OnHeaders(int status, const net::Headers& headers) override;
  void OnData(std::string_view data) override;
  void OnEnd(const absl::Status& status) override;

 private:
  friend class ApiClient;
  void Finish();

  ApiClient* client_;
  CallOptions options_;
  Callback callback_;
  ApiAnswer answer_;
  bool over_ = false;
  std::unique_ptr<net::HttpStream> stream_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::kube
