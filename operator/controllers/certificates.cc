#include "operator/controllers/certificates.h"

#include <json/value.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/log/log.h"
#include "operator/controllers/objects.h"
#include "operator/model/names.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr int64_t kDay = 86400;

std::string Decoded(const Json::Value& secret, const char* key) {
  std::string out;
  const std::string text = secret["data"][key].asString();
  return absl::Base64Unescape(text, &out) ? out : "";
}

// Whether less than two thirds of its life have gone.
bool Fresh(const std::string& certificate_pem) {
  const auto info = net::Describe(certificate_pem);
  if (!info.ok()) return false;
  const int64_t now = base::Clock::Real().WallMs() / 1000;
  return now < info->not_before + (info->not_after - info->not_before) * 2 / 3;
}

Json::Value SecretObject(const std::string& name_space, const std::string& name) {
  Json::Value secret;
  secret["apiVersion"] = "v1";
  secret["kind"] = "Secret";
  secret["type"] = "Opaque";
  secret["metadata"]["name"] = name;
  secret["metadata"]["namespace"] = name_space;
  secret["metadata"]["labels"][kManagedByLabel] = kManagedBy;
  return secret;
}

void Put(Json::Value* secret, const char* key, const std::string& text) {
  (*secret)["data"][key] = absl::Base64Escape(text);
}

}  // namespace

absl::Status Certificates::Ensure() {
  FAIRLEAD_RETURN_IF_ERROR(EnsureCa());
  return EnsureEndpoint();
}

// Created and never applied: two leaders that overlap cannot replace each other's CA.
absl::Status Certificates::EnsureCa() {
  const kube::ObjectName name{SecretType(), config_.certificates.name_space,
                              config_.certificates.ca_secret};
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto secret = GetObject(hub_, name);
    if (secret.ok()) {
      ca_ = {Decoded(*secret, "tls.key"), Decoded(*secret, "tls.crt")};
      if (!net::KeyFits(ca_.key_pem, ca_.certificate_pem)) {
        return absl::FailedPreconditionError(
            StrCat("Secret ", name.name_space, "/", name.name,
                   ": tls.key does not belong to tls.crt; restore it, or delete it to start anew "
                   "(every agent then enrols again)"));
      }
      return absl::OkStatus();
    }
    if (!absl::IsNotFound(secret.status())) return secret.status();
    net::CertificateSpec root{
        .common_name = StrCat(config_.trust_domain, " root"), .ca = true, .path_length = 1};
    root.lifetime_seconds = kDay * 3650;
    FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate made, net::SelfSigned(root));
    Json::Value object = SecretObject(name.name_space, name.name);
    Put(&object, "tls.key", made.key_pem);
    Put(&object, "tls.crt", made.certificate_pem);
    const kube::ApiAnswer answer = hub_->Create(name, json::WriteJson(object), kObjectManager);
    if (answer.error && answer.error->reason != kube::Reason::kAlreadyExists) {
      return base::WithContext(kube::ToStatus(*answer.error), "create the CA's Secret");
    }
    if (!answer.error) log::Info("root CA made", {{"secret", name.name}});
  }
  return absl::UnavailableError("the CA's Secret comes and goes");
}

bool Certificates::EndpointIsGood(const Json::Value& secret) const {
  const std::string serving = Decoded(secret, "tls.crt");
  const std::string issuer = Decoded(secret, "issuer.crt");
  if (!Fresh(serving) || !Fresh(issuer) || Decoded(secret, "ca.crt") != ca_.certificate_pem) {
    return false;
  }
  if (!net::KeyFits(Decoded(secret, "tls.key"), serving) ||
      !net::KeyFits(Decoded(secret, "issuer.key"), issuer) ||
      !net::VerifyChain(serving, ca_.certificate_pem).ok()) {
    return false;
  }
  auto dns = net::Describe(serving)->dns;
  auto wanted = config_.certificates.dns_names;
  std::sort(dns.begin(), dns.end());
  std::sort(wanted.begin(), wanted.end());
  return dns == wanted;
}

absl::Status Certificates::EnsureEndpoint() {
  const kube::ObjectName name{SecretType(), config_.certificates.name_space,
                              config_.certificates.endpoint_secret};
  const auto known = GetObject(hub_, name);
  if (known.ok() && EndpointIsGood(*known)) return absl::OkStatus();
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  net::CertificateSpec serving{.common_name = "fairlead-endpoint",
                               .dns = config_.certificates.dns_names,
                               .ips = config_.certificates.ip_addresses,
                               .server = true};
  serving.lifetime_seconds = kDay * 90;
  net::CertificateSpec middle{.common_name = StrCat(config_.trust_domain, " agents"), .ca = true};
  middle.lifetime_seconds = kDay * 365;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate server, net::Issue(serving, ca_));
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate issuer, net::Issue(middle, ca_));
  Json::Value object = SecretObject(name.name_space, name.name);
  Put(&object, "tls.crt", server.certificate_pem);
  Put(&object, "tls.key", server.key_pem);
  Put(&object, "ca.crt", ca_.certificate_pem);
  Put(&object, "issuer.crt", issuer.certificate_pem);
  Put(&object, "issuer.key", issuer.key_pem);
  const kube::ApiAnswer answer = hub_->Apply(name, json::WriteJson(object), kObjectManager);
  if (answer.error) {
    return base::WithContext(kube::ToStatus(*answer.error), "apply the endpoint's certificates");
  }
  log::Info("endpoint certificates issued", {{"secret", name.name}});
  return absl::OkStatus();
}

absl::StatusOr<net::KeyAndCertificate> Certificates::OperatorCertificate() const {
  net::CertificateSpec role{.common_name = "operator",
                            .uris = {StrCat("spiffe://", config_.trust_domain, "/role/operator")},
                            .client = true};
  role.lifetime_seconds = kDay;
  return net::Issue(role, ca_);
}

}  // namespace fairlead::op
