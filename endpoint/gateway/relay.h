#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "endpoint/session/api_call.h"
#include "lib/base/loop.h"
#include "lib/net/http_server.h"

namespace fairlead::endpoint {

// A failure as API servers say it: a Status object (API conventions, "Response Status Kind").
void FailAsCluster(net::HttpResponder& responder, int code, const std::string& reason,
                   const std::string& message);

// One API call's answer on its way to the client. A client that reads slowly slows the API server
// down; one that went cancels.
//
// Bounds: kWindow bytes between the API server and the client, and one stream window of HTTP/2; an
// agent that sends more than twice kWindow is cut off.
// On the route's loop, but for Start().
class Relay : public ApiListener {
 public:
  static constexpr uint64_t kWindow = uint64_t{1} << 20;

  // Any thread. `route` and its loop outlive every call.
  static void Start(ApiRoute* route, base::Loop* loop, const base::U128& account,
                    ApiRequest request, std::shared_ptr<net::HttpResponder> responder);

  Relay(ApiRoute* route, std::shared_ptr<net::HttpResponder> responder);
  void OnHead(const agent::v1::ApiHead& head) override;
  void OnData(std::string data) override;
  void OnEnd(const absl::Status& status) override;

 private:
  void Drained();

  ApiRoute* route_;
  std::shared_ptr<net::HttpResponder> responder_;  // null when nothing more is to be said
  uint64_t call_ = 0;
  uint64_t told_ = 0;
  uint64_t credited_ = kWindow;
  int bodiless_ = 0;      // the status, when an answer of it has no body
  net::Headers headers_;  // of that answer
  bool begun_ = false;
};

}  // namespace fairlead::endpoint
