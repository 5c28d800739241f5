#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/loop.h"
#include "lib/net/http.h"

namespace fairlead::agent {

namespace v1 = fairlead::agent::v1;

// What is heard of a call; after on_end nothing.
struct ApiCallEvents {
  std::function<void(v1::ApiHead)> on_head;
  std::function<void(std::string)> on_data;
  std::function<void(const absl::Status&)> on_end;
};

// API requests of the endpoint's at one account's API server, with the account's own credentials.
//
// Guarantees: nothing is sent twice; the caller's credentials, impersonation and what concerns one
//   connection only (RFC 9110 section 7.6.1) go no further, either way; beyond the credit the
//   answer's stream is paused.
// Bounds: kMostCalls at a time; more end at once with ResourceExhausted.
// Loop thread only. Tests: unit/agent/account/api_calls_test.cc.
class ApiCalls {
 public:
  static constexpr size_t kMostCalls = 400;

  ApiCalls(net::HttpTransport* transport, base::Loop* loop);
  ~ApiCalls();

  // `own` are the account's headers. Events come later, never from inside.
  void Start(uint64_t call, const v1::ApiRequest& request, std::string body,
             const net::Headers& own, ApiCallEvents events);
  void Credit(uint64_t call, uint64_t total);
  void Cancel(uint64_t call);

 private:
  class One;
  net::HttpTransport* transport_;
  base::Loop* loop_;
  std::map<uint64_t, std::shared_ptr<One>> calls_;
};

}  // namespace fairlead::agent
