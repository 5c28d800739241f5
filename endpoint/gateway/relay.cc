#include "endpoint/gateway/relay.h"

#include <json/json.h>

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::endpoint {

void FailAsCluster(net::HttpResponder& responder, int code, const std::string& reason,
                   const std::string& message) {
  Json::Value status;
  status["kind"] = "Status";
  status["apiVersion"] = "v1";
  status["metadata"] = Json::Value(Json::objectValue);
  status["status"] = "Failure";
  status["message"] = message;
  status["reason"] = reason;
  status["code"] = code;
  responder.Send(code, "application/json", json::WriteJson(status) + "\n");
}

void Relay::Start(ApiRoute* route, base::Loop* loop, const base::U128& account, ApiRequest request,
                  std::shared_ptr<net::HttpResponder> responder) {
  request.credit = kWindow;
  loop->Post([route, loop, account, request = std::move(request),
              responder = std::move(responder)]() mutable {
    if (responder->closed()) return;
    const auto relay = std::make_shared<Relay>(route, responder);
    relay->call_ = route->StartCall(account, std::move(request), relay);
    responder->OnDrain([loop, weak = std::weak_ptr(relay)] {
      loop->Post([weak] {
        if (const auto self = weak.lock()) self->Drained();
      });
    });
  });
}

Relay::Relay(ApiRoute* route, std::shared_ptr<net::HttpResponder> responder)
    : route_(route), responder_(std::move(responder)) {}

void Relay::OnHead(const agent::v1::ApiHead& head) {
  if (!responder_ || std::exchange(begun_, true)) return;
  const int status = static_cast<int>(head.status());
  net::Headers headers;
  for (const agent::v1::Header& one : head.headers()) {
    if (one.name() != "content-length") headers.emplace_back(one.name(), one.value());
  }
  if (status != 204 && status != 304) return responder_->Begin(status, headers);
  bodiless_ = status;
  headers_ = std::move(headers);
}

void Relay::OnData(std::string data) {
  if (!responder_ || !begun_ || bodiless_ != 0) return;
  told_ += data.size();
  if (told_ > credited_ + kWindow) {
    responder_ = nullptr;
    return route_->CancelCall(call_);
  }
  responder_->Write(std::move(data));
}

// An answer that broke off is cut, so that the client sees an error and not an end.
void Relay::OnEnd(const absl::Status& status) {
  const auto responder = std::exchange(responder_, nullptr);
  if (!responder) return;
  if (status.ok() && bodiless_ != 0) return responder->Send(bodiless_, headers_, "");
  if (status.ok() && begun_) return responder->End();
  if (begun_) return;
  const std::string message(base::View(status.message()));
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return FailAsCluster(*responder, 504, "Timeout",
                         base::StrCat("the cluster's API server did not answer: ", message));
  }
  FailAsCluster(*responder, 503, "ServiceUnavailable", message.empty() ? "no answer" : message);
}

void Relay::Drained() {
  if (!responder_) return;
  if (responder_->closed()) {
    responder_ = nullptr;
    return route_->CancelCall(call_);
  }
  const uint64_t queued = responder_->QueuedBytes();
  const uint64_t credit = told_ - std::min<uint64_t>(queued, told_) + kWindow;
  if (credit < credited_ + kWindow / 4) return;
  credited_ = credit;
  route_->CreditCall(call_, credit);
}

}  // namespace fairlead::endpoint
