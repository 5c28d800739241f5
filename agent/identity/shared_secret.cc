#include "agent/identity/shared_secret.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/base/version.h"
#include "lib/json/dom.h"
#include "lib/kube/json_value.h"
#include "lib/kube/kubeconfig.h"
#include "lib/kube/requests.h"
#include "lib/net/http_client.h"

namespace fairlead::agent {

namespace {

const kube::ResourceType kSecret{"", "v1", "secrets", "Secret", true};
constexpr char kManager[] = "fairlead-agent";

std::string Decoded(const Json::Value& object, const char* key) {
  std::string out;
  return absl::Base64Unescape(kube::StringAt(kube::At(object, "data"), key), &out) ? out : "";
}

}  // namespace

SharedSecret::SharedSecret(std::string name_space, std::string name, kube::ApiClient* client)
    : name_space_(std::move(name_space)), name_(std::move(name)), client_(client) {}

absl::StatusOr<std::unique_ptr<SharedSecret>> SharedSecret::Open(std::string name_space,
                                                                 std::string name,
                                                                 net::LoopThread* loop) {
  FAIRLEAD_ASSIGN_OR_RETURN(const kube::ClusterAccess access, kube::InCluster());
  net::HttpClientOptions options;
  options.scheme = access.scheme;
  options.host = access.host;
  options.port = access.port;
  options.server_name = access.server_name;
  options.ca_pem = access.ca_pem;
  auto secret = std::make_unique<SharedSecret>(std::move(name_space), std::move(name), nullptr);
  FAIRLEAD_ASSIGN_OR_RETURN(secret->transport_, net::MakeHttpClient(options, loop));
  secret->own_client_ = std::make_unique<kube::ApiClient>(
      secret->transport_.get(), loop, kube::TokenSource(access.token, access.token_file),
      base::StrCat("fairlead-agent/", base::kVersion));
  secret->client_ = secret->own_client_.get();
  return secret;
}

void SharedSecret::Read(std::function<void(absl::StatusOr<Pair>)> done) {
  auto request = kube::GetRequest({kSecret, name_space_, name_});
  if (!request.ok()) return done(request.status());
  auto answered = [this, done = std::move(done)](const kube::ApiAnswer& answer) {
    if (answer.error) {
      return done(base::WithContext(kube::ToStatus(*answer.error), "read the identity Secret"));
    }
    const auto object = json::ParseJson(answer.body);
    if (!object.ok() || !object->isObject()) {
      return done(absl::UnavailableError("the identity Secret cannot be read as JSON"));
    }
    resource_version_ = kube::StringAt(kube::At(*object, "metadata"), "resourceVersion");
    done(Pair{Decoded(*object, "tls.key"), Decoded(*object, "tls.crt")});
  };
  call_ = client_->Start(*std::move(request), {}, std::move(answered));
}

void SharedSecret::Write(const Pair& pair, std::function<void(const absl::Status&)> done) {
  Json::Value patch;
  patch["metadata"]["resourceVersion"] = resource_version_;
  patch["data"]["tls.key"] = absl::Base64Escape(pair.key_pem);
  patch["data"]["tls.crt"] = absl::Base64Escape(pair.certificate_pem);
  auto request =
      kube::MergePatchRequest({kSecret, name_space_, name_}, json::WriteJson(patch), kManager);
  if (!request.ok()) return done(request.status());
  auto answered = [done = std::move(done)](const kube::ApiAnswer& answer) {
    if (answer.error && answer.error->reason == kube::Reason::kConflict) {
      return done(absl::AbortedError("another replica wrote the identity Secret"));
    }
    if (answer.error) {
      return done(base::WithContext(kube::ToStatus(*answer.error), "write the identity Secret"));
    }
    done(absl::OkStatus());
  };
  call_ = client_->Start(*std::move(request), {}, std::move(answered));
}

}  // namespace fairlead::agent
