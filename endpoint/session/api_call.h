#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/hash.h"

namespace fairlead::endpoint {

// Hears of the answer to an API request: a head, data, and an end; after the end nothing. On the
// hub's loop, never from inside Hub::StartCall.
class ApiListener {
 public:
  virtual ~ApiListener() = default;
  virtual void OnHead(const agent::v1::ApiHead& head) = 0;
  virtual void OnData(std::string data) = 0;
  // OK: the answer is whole. Unavailable: no agent serves the account, or its session ended; what
  // became of the request is not known then if it was sent.
  virtual void OnEnd(const absl::Status& status) = 0;
};

// An API request for an account's cluster.
struct ApiRequest {
  std::string method;
  std::string target;                                        // path and query, percent-encoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  uint64_t credit = 0;  // bytes of data that may be told at first
};

// Takes API requests to the agents that hold their accounts. One loop.
class ApiRoute {
 public:
  virtual ~ApiRoute() = default;
  // Sends `request` to the agent that holds the account, and tells `listener` what it answers. The
  // call's number, for what follows.
  virtual uint64_t StartCall(const base::U128& account, ApiRequest request,
                             std::shared_ptr<ApiListener> listener) = 0;
  // How many bytes of data may be told in all.
  virtual void CreditCall(uint64_t call, uint64_t total) = 0;
  // Nobody listens any more.
  virtual void CancelCall(uint64_t call) = 0;
};

}  // namespace fairlead::endpoint
