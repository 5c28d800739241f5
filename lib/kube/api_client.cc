#include "lib/kube/api_client.h"

#include <utility>

#include "absl/status/status.h"
#include "lib/base/strings.h"

namespace fairlead::kube {

ApiClient::ApiClient(net::HttpTransport* transport, base::Loop* loop, TokenSource token,
                     std::string user_agent)
    : transport_(transport),
      loop_(loop),
      token_(std::move(token)),
      user_agent_(std::move(user_agent)) {}

ApiClient::~ApiClient() = default;

void ApiClient::AddHeaders(net::HttpRequest* request) {
  request->headers.emplace_back("user-agent", user_agent_);
  const std::string& token = token_.Get(loop_->clock().Now());
  if (!token.empty()) {
    request->headers.emplace_back("authorization", base::StrCat("Bearer ", token));
  }
}

std::unique_ptr<ApiClient::Call> ApiClient::Start(net::HttpRequest request,
                                                  const CallOptions& options, Callback callback) {
  AddHeaders(&request);
  auto call = std::make_unique<Call>(this, options, std::move(callback));
  net::RequestOptions transport_options;
  transport_options.total_timeout = options.timeout;
  transport_options.first_byte_timeout = options.timeout;
  call->stream_ = transport_->Start(std::move(request), transport_options, call.get());
  return call;
}

std::unique_ptr<net::HttpStream> ApiClient::Stream(net::HttpRequest request,
                                                   const net::RequestOptions& options,
                                                   net::ResponseHandler* handler) {
  AddHeaders(&request);
  return transport_->Start(std::move(request), options, handler);
}

ApiClient::Call::Call(ApiClient* client, const CallOptions& options, Callback callback)
    : client_(client), options_(options), callback_(std::move(callback)) {}

ApiClient::Call::~Call() = default;

void ApiClient::Call::OnHeaders(int status, const net::Headers& headers) {
  answer_.code = status;
  answer_.headers = headers;
  if (status == 401) client_->Unauthorized();
}

void ApiClient::Call::OnData(std::string_view data) {
  if (over_) return;
  if (answer_.body.size() + data.size() > options_.max_bytes) {
    ApiError error;
    error.code = answer_.code;
    error.reason = Reason::kMalformed;
    error.message = base::StrCat("the answer is longer than ", options_.max_bytes, " bytes");
    answer_.body.clear();
    answer_.error = std::move(error);
    return Finish();
  }
  answer_.body += data;
}

void ApiClient::Call::OnEnd(const absl::Status& status) {
  if (over_) return;
  if (!status.ok()) {
    answer_.error = TransportError(status);
    answer_.code = 0;  // a cut answer is none
  } else if (answer_.code < 200 || answer_.code > 299) {
    answer_.error = DecodeError(answer_.code, answer_.headers, answer_.body);
  }
  Finish();
}

// Later, so that the stream is never destroyed from inside its own call.
void ApiClient::Call::Finish() {
  over_ = true;
  client_->loop_->Post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.lock()) return;
    stream_.reset();
    Callback callback = std::move(callback_);
    callback(std::move(answer_));  // may destroy this
  });
}

}  // namespace fairlead::kube
