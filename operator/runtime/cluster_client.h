#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/kube/api_client.h"
#include "lib/kube/kubeconfig.h"
#include "lib/kube/requests.h"
#include "lib/net/loop_thread.h"

namespace fairlead::op {

// One cluster's API server, called and waited for: reconcilers read like prose and wait on threads
// of their own (docs/decisions/0002). Any thread but the loop's; several at a time.
//
// Every call ends: after `timeout` at the latest, by an answer with error kTransport. After a call
// that got no answer, further ones fail at once for `pause_after_failure`, so that a cluster that
// swallows packets costs its own accounts one timeout now and then, and nobody else's anything.
// A server that says 429 or 5xx with Retry-After gets no further call before that, or for a minute
// if it asks for more. A pause is never made shorter by another. What fails for a pause fails with
// the error that began it, so that what is told of the cluster is the same as long as it is.
// Mutating calls ask the fence first; without leadership they fail and nothing is sent.
class ClusterClient {
 public:
  struct Options {
    std::string user_agent;
    base::Duration timeout = base::seconds(10);
    base::Duration pause_after_failure = base::seconds(15);
    std::function<bool()> may_write;
    const base::Clock* clock = &base::Clock::Real();
  };

  // `loop` outlives the client and runs until it is gone.
  static absl::StatusOr<std::shared_ptr<ClusterClient>> Make(const kube::ClusterAccess& access,
                                                             const Options& options,
                                                             net::LoopThread* loop);
  // The same over a connection that is there already; `host` is what messages call it.
  static std::shared_ptr<ClusterClient> Over(std::unique_ptr<net::HttpTransport> transport,
                                             std::string host, const kube::TokenSource& token,
                                             const Options& options, base::Loop* loop);
  ~ClusterClient();

  kube::ApiAnswer Get(const kube::ObjectName& object);
  // Path and query as they are.
  kube::ApiAnswer GetPath(const std::string& target);
  // Server-side apply with force, of what is ours.
  kube::ApiAnswer Apply(const kube::ObjectName& object, std::string body,
                        std::string_view field_manager, std::string_view subresource = "");
  kube::ApiAnswer JsonPatch(const kube::ObjectName& object, std::string patch,
                            std::string_view field_manager);
  kube::ApiAnswer Create(const kube::ObjectName& object, std::string body,
                         std::string_view field_manager);
  kube::ApiAnswer Replace(const kube::ObjectName& object, std::string body,
                          std::string_view field_manager);
  kube::ApiAnswer Delete(const kube::ObjectName& object, const kube::DeleteConditions& conditions);

  [[nodiscard]] kube::ApiClient* api() { return state_->api.get(); }  // loop thread only
  [[nodiscard]] const std::string& host() const { return host_; }
  // False after a call that got no answer, until one gets one.
  [[nodiscard]] bool answers() const { return answers_; }

 private:
  struct State {  // lives on the loop
    std::unique_ptr<net::HttpTransport> transport;
    std::unique_ptr<kube::ApiClient> api;
  };
  ClusterClient(const Options& options, base::Loop* loop) : options_(options), loop_(loop) {}
  // The error that began the pause, while there is one.
  std::optional<kube::ApiError> PausedBy() const;
  void Pause(base::Duration duration, const kube::ApiError& why);
  kube::ApiAnswer Call(absl::StatusOr<net::HttpRequest> request, bool mutating);

  Options options_;
  base::Loop* loop_;
  std::string host_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
  mutable base::Mutex mutex_;
  base::Time paused_until_{};
  kube::ApiError paused_by_;
  std::atomic<bool> answers_{true};
};

}  // namespace fairlead::op
