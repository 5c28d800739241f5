#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/kube/api_client.h"
#include "lib/net/loop_thread.h"

namespace fairlead::agent {

// The Secret in which the replicas of one AgentDeployment share their certificate, in the cluster
// they run in (keys tls.key and tls.crt). The operator makes it, empty; this only reads and patches
// it. Loop thread only; one request at a time; callbacks run on the loop unless the object is gone.
class SharedSecret {
 public:
  struct Pair {
    std::string key_pem;
    std::string certificate_pem;  // both "" while nobody has enrolled
  };

  // With the pod's own service account. InvalidArgument or NotFound outside a cluster.
  static absl::StatusOr<std::unique_ptr<SharedSecret>> Open(std::string name_space,
                                                            std::string name,
                                                            net::LoopThread* loop);
  // Tests give a client of their own, which outlives this.
  SharedSecret(std::string name_space, std::string name, kube::ApiClient* client);

  void Read(std::function<void(absl::StatusOr<Pair>)> done);
  // Aborted: it changed since the last Read; read again.
  void Write(const Pair& pair, std::function<void(const absl::Status&)> done);

 private:
  std::string name_space_;
  std::string name_;
  std::unique_ptr<net::HttpTransport> transport_;
  std::unique_ptr<kube::ApiClient> own_client_;
  kube::ApiClient* client_;
  std::string resource_version_;
  std::unique_ptr<kube::ApiClient::Call> call_;
};

}  // namespace fairlead::agent
