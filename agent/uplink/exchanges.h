#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/loop.h"
#include "lib/wire/transport.h"

namespace fairlead::agent {

namespace v1 = fairlead::agent::v1;

// Hears of one API request's answer: a head, data, and an end; after the end nothing.
class ApiAnswer {
 public:
  virtual ~ApiAnswer() = default;
  virtual void OnHead(v1::ApiHead head) = 0;
  virtual void OnData(std::string data) = 0;
  virtual void OnEnd(const absl::Status& status) = 0;
};

// A request under way. Destroying it cancels: its answer is not told any more.
class ApiCall {
 public:
  virtual ~ApiCall() = default;
  // How many bytes of data may be told in all.
  virtual void Credit(uint64_t total) = 0;
};

// Starts a request of the endpoint's at the API server of the account that it names. Null when it
// ended at once.
using StartApiCall = std::function<std::unique_ptr<ApiCall>(const v1::ApiRequest& request,
                                                            std::string body, ApiAnswer* answer)>;

// A session's Exchange streams: some are open and wait for a request, others carry one each.
//
// Bounds: the body of a request, `kMaxApiBody`; what is told beyond the credit is the caller's.
// Loop thread only; destroyed before the channel. Tests, against a hub:
// unit/endpoint/session/hub_calls_test.cc.
class Exchanges {
 public:
  static constexpr size_t kIdle = 2;
  static constexpr size_t kMaxApiBody = size_t{8} << 20;

  Exchanges(wire::AgentChannel* channel, std::string session_id, StartApiCall start,
            base::Loop* loop);
  ~Exchanges();
  // The session is over: every call is cancelled and every stream ends now. What is left may go
  // later, also from inside a callback of one of them.
  void Stop();

 private:
  class One;
  void OpenIdle();
  void Gone(One* one);

  wire::AgentChannel* channel_;
  const std::string session_id_;
  const StartApiCall start_;
  base::Loop* loop_;
  std::list<std::shared_ptr<One>> all_;
  std::unique_ptr<base::Timer> later_;
};

}  // namespace fairlead::agent
