#include "operator/runtime/cluster_client.h"

#include <algorithm>
#include <future>
#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/net/http_client.h"

namespace fairlead::op {

namespace {

// A server may ask for this much at most: what waits is retried then anyway.
constexpr base::Duration kMostRetryAfter = base::seconds(60);

// Other codes are about one object or one caller, whatever header comes with them.
bool ConcernsAll(const kube::ApiError& error) { return error.code == 429 || error.code >= 500; }

kube::ApiAnswer NotSent(kube::Reason reason, std::string message) {
  kube::ApiAnswer answer;
  kube::ApiError error;
  error.reason = reason;
  error.message = std::move(message);
  answer.error = std::move(error);
  return answer;
}

// A call's handle and where its answer goes; lives until the callback ran.
struct Pending {
  std::promise<kube::ApiAnswer> promise;
  std::unique_ptr<kube::ApiClient::Call> call;
};

}  // namespace

absl::StatusOr<std::shared_ptr<ClusterClient>> ClusterClient::Make(
    const kube::ClusterAccess& access, const Options& options, net::LoopThread* loop) {
  net::HttpClientOptions client;
  client.scheme = access.scheme;
  client.host = access.host;
  client.address = access.address;
  client.port = access.port;
  client.server_name = access.server_name;
  client.ca_pem = access.ca_pem;
  client.certificate_pem = access.certificate_pem;
  client.key_pem = access.key_pem;
  // Before the call that waits for it, so that a cluster that swallows packets has one error.
  client.connect_timeout = options.timeout * 4 / 5;
  std::promise<absl::StatusOr<std::unique_ptr<net::HttpTransport>>> made;
  loop->Post([&] { made.set_value(net::MakeHttpClient(client, loop)); });
  FAIRLEAD_ASSIGN_OR_RETURN(auto transport, made.get_future().get());
  return Over(std::move(transport), base::StrCat(access.host, ":", access.port),
              kube::TokenSource(access.token, access.token_file), options, loop);
}

std::shared_ptr<ClusterClient> ClusterClient::Over(std::unique_ptr<net::HttpTransport> transport,
                                                   std::string host, const kube::TokenSource& token,
                                                   const Options& options, base::Loop* loop) {
  std::shared_ptr<ClusterClient> out(new ClusterClient(options, loop));
  out->host_ = std::move(host);
  out->state_->transport = std::move(transport);
  out->state_->api = std::make_unique<kube::ApiClient>(out->state_->transport.get(), loop, token,
                                                       options.user_agent);
  return out;
}

ClusterClient::~ClusterClient() {
  loop_->Post([state = std::move(state_)] {
    state->api.reset();
    state->transport.reset();
  });
}

kube::ApiAnswer ClusterClient::Call(absl::StatusOr<net::HttpRequest> request, bool mutating) {
  if (!request.ok()) {
    return NotSent(kube::Reason::kBadRequest, std::string(base::View(request.status().message())));
  }
  if (mutating && options_.may_write && !options_.may_write()) {
    return NotSent(kube::Reason::kTransport, "this process is not the leader; nothing was sent");
  }
  if (auto why = PausedBy()) {
    kube::ApiAnswer answer;
    answer.error = std::move(why);
    return answer;
  }
  auto pending = std::make_shared<Pending>();
  auto answer = pending->promise.get_future();
  loop_->Post([state = state_, pending, request = *std::move(request),
               timeout = options_.timeout]() mutable {
    kube::CallOptions options;
    options.timeout = timeout;
    pending->call =
        state->api->Start(std::move(request), options, [pending](kube::ApiAnswer given) mutable {
          pending->promise.set_value(std::move(given));
          const auto done = std::move(pending->call);
        });
  });
  kube::ApiAnswer given = answer.get();
  answers_ = !given.error || given.error->reason != kube::Reason::kTransport;
  if (!answers_) {
    Pause(options_.pause_after_failure, *given.error);
  } else if (given.error && given.error->retry_after && ConcernsAll(*given.error)) {
    Pause(std::min<base::Duration>(*given.error->retry_after, kMostRetryAfter), *given.error);
  }
  return given;
}

std::optional<kube::ApiError> ClusterClient::PausedBy() const {
  const base::MutexLock lock(mutex_);
  if (options_.clock->Now() >= paused_until_) return std::nullopt;
  return paused_by_;
}

void ClusterClient::Pause(base::Duration duration, const kube::ApiError& why) {
  const base::MutexLock lock(mutex_);
  const base::Time until = options_.clock->Now() + duration;
  if (until <= paused_until_) return;
  paused_until_ = until;
  paused_by_ = why;
}

kube::ApiAnswer ClusterClient::Get(const kube::ObjectName& object) {
  return Call(kube::GetRequest(object), false);
}

kube::ApiAnswer ClusterClient::GetPath(const std::string& target) {
  net::HttpRequest request;
  request.target = target;
  request.headers = {{"accept", "application/json"}};
  return Call(request, false);
}

kube::ApiAnswer ClusterClient::Apply(const kube::ObjectName& object, std::string body,
                                     std::string_view field_manager, std::string_view subresource) {
  return Call(kube::ApplyRequest(object, std::move(body), field_manager, true, subresource), true);
}

kube::ApiAnswer ClusterClient::JsonPatch(const kube::ObjectName& object, std::string patch,
                                         std::string_view field_manager) {
  return Call(kube::JsonPatchRequest(object, std::move(patch), field_manager), true);
}

kube::ApiAnswer ClusterClient::Create(const kube::ObjectName& object, std::string body,
                                      std::string_view field_manager) {
  return Call(kube::CreateRequest(object, std::move(body), field_manager), true);
}

kube::ApiAnswer ClusterClient::Replace(const kube::ObjectName& object, std::string body,
                                       std::string_view field_manager) {
  return Call(kube::ReplaceRequest(object, std::move(body), field_manager), true);
}

kube::ApiAnswer ClusterClient::Delete(const kube::ObjectName& object,
                                      const kube::DeleteConditions& conditions) {
  return Call(kube::DeleteRequest(object, conditions), true);
}

}  // namespace fairlead::op
