#include "agent/account/api_calls.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace fairlead::agent {

namespace {

constexpr base::Duration kFirstByte = base::seconds(70);  // API servers give up after 60 s

constexpr std::array<std::string_view, 14> kNotOn = {
    "authorization", "connection",          "content-length",   "cookie",
    "host",          "http2-settings",      "keep-alive",       "proxy-authenticate",
    "set-cookie",    "proxy-authorization", "proxy-connection", "te",
    "trailer",       "transfer-encoding"};

bool GoesOn(std::string_view name) {
  return !name.empty() && name[0] != ':' && !name.starts_with("impersonate-") &&
         name != "upgrade" && std::find(kNotOn.begin(), kNotOn.end(), name) == kNotOn.end();
}

bool TargetOk(std::string_view target) {
  return target.starts_with("/") && std::all_of(target.begin(), target.end(), [](char c) {
           return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
         });
}

}  // namespace

class ApiCalls::One : public net::ResponseHandler {
 public:
  One(ApiCalls* owner, uint64_t number, uint64_t credit, ApiCallEvents events)
      : owner_(owner), number_(number), credit_(credit), events_(std::move(events)) {}

  void OnHeaders(int status, const net::Headers& headers) override {
    v1::ApiHead head;
    head.set_status(static_cast<uint32_t>(status));
    for (const auto& [name, value] : headers) {
      if (!GoesOn(name)) continue;
      v1::Header* header = head.add_headers();
      header->set_name(name);
      header->set_value(value);
    }
    events_.on_head(std::move(head));
  }
  void OnData(std::string_view data) override {
    told_ += data.size();
    events_.on_data(std::string(data));
    if (told_ < credit_ || paused_) return;
    paused_ = true;
    stream->Pause();
  }
  void OnEnd(const absl::Status& status) override {
    events_.on_end(status);
    // May not go inside its own callback.
    owner_->loop_->Post([owner = owner_, number = number_, alive = std::weak_ptr(alive_)] {
      if (alive.lock()) owner->calls_.erase(number);
    });
  }
  void Credit(uint64_t total) {
    credit_ = std::max(credit_, total);
    if (!paused_ || told_ >= credit_) return;
    paused_ = false;
    stream->Resume();
  }

  std::unique_ptr<net::HttpStream> stream;

 private:
  ApiCalls* owner_;
  const uint64_t number_;
  uint64_t credit_;
  uint64_t told_ = 0;
  bool paused_ = false;
  const ApiCallEvents events_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

ApiCalls::ApiCalls(net::HttpTransport* transport, base::Loop* loop)
    : transport_(transport), loop_(loop) {}

ApiCalls::~ApiCalls() = default;

void ApiCalls::Start(uint64_t call, const v1::ApiRequest& request, std::string body,
                     const net::Headers& own, ApiCallEvents events) {
  absl::Status refused;
  if (calls_.size() >= kMostCalls) refused = absl::ResourceExhaustedError("too many requests");
  if (!TargetOk(request.target())) refused = absl::InvalidArgumentError("not a path and query");
  if (!refused.ok()) {
    loop_->Post([refused, on_end = std::move(events.on_end)] { on_end(refused); });
    return;
  }
  net::HttpRequest http{request.method(), request.target(), {}, std::move(body)};
  for (const v1::Header& one : request.headers()) {
    if (GoesOn(one.name())) http.headers.emplace_back(one.name(), one.value());
  }
  for (const auto& [name, value] : own) {
    if (net::FindHeader(http.headers, name).empty()) http.headers.emplace_back(name, value);
  }
  net::RequestOptions options;
  options.first_byte_timeout = kFirstByte;
  options.total_timeout = base::Duration::zero();
  auto one = std::make_shared<One>(this, call, request.credit(), std::move(events));
  one->stream = transport_->Start(std::move(http), options, one.get());
  calls_[call] = std::move(one);
}

void ApiCalls::Credit(uint64_t call, uint64_t total) {
  const auto found = calls_.find(call);
  if (found != calls_.end()) found->second->Credit(total);
}

void ApiCalls::Cancel(uint64_t call) { calls_.erase(call); }

}  // namespace fairlead::agent
