#include "endpoint/identity/authority.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "lib/base/config_reader.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::endpoint {

using base::StrCat;

namespace {

constexpr int64_t kDay = 86400;

absl::Status WriteNew(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0)
    return absl::FailedPreconditionError(StrCat(path.string(), ": ", std::strerror(errno)));
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  if (!written) return absl::UnavailableError(StrCat(path.string(), ": ", std::strerror(errno)));
  return absl::OkStatus();
}

std::string Yaml(const InitOptions& options, const std::string& token) {
  const auto file = [&](const char* name) {
    return StrCat("\"", (std::filesystem::absolute(options.dir) / name).string(), "\"");
  };
  return StrCat(
      "trustDomain: ", options.trust_domain, "\ndataDir: ", file("data"),
      "\nagents: {address: \"0.0.0.0:9443\"}\nrest: {address: \"0.0.0.0:8443\"}\ntls:\n  "
      "certificateFile: ",
      file("tls.crt"), "\n  keyFile: ", file("tls.key"), "\n  caFile: ", file("ca.crt"),
      "\n  issuerCertificateFile: ", file("issuer.crt"), "\n  issuerKeyFile: ", file("issuer.key"),
      "\ntokens:\n  - {name: admin, role: admin, sha256: ", base::Sha256Hex(token), "}\n");
}

}  // namespace

bool ValidIdentity(std::string_view identity) {
  if (identity.empty() || identity.size() > 63) return false;
  return std::all_of(identity.begin(), identity.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

Authority::Authority(AuthorityFiles files, std::string trust_domain, int64_t lifetime_seconds)
    : files_(std::move(files)),
      trust_domain_(std::move(trust_domain)),
      lifetime_seconds_(lifetime_seconds) {}

absl::StatusOr<agent::v1::EnrollResponse> Authority::Sign(const std::string& identity,
                                                          const std::string& csr_pem) const {
  if (!ValidIdentity(identity))
    return absl::InvalidArgumentError("the identity is not a valid name");
  net::KeyAndCertificate issuer;
  FAIRLEAD_ASSIGN_OR_RETURN(issuer.certificate_pem, base::ReadFile(files_.issuer_certificate));
  FAIRLEAD_ASSIGN_OR_RETURN(issuer.key_pem, base::ReadFile(files_.issuer_key));
  FAIRLEAD_ASSIGN_OR_RETURN(const std::string ca, base::ReadFile(files_.ca));
  net::CertificateSpec spec;
  spec.common_name = identity;
  spec.uris = {StrCat("spiffe://", trust_domain_, "/agent/", identity)};
  spec.client = true;
  spec.lifetime_seconds = lifetime_seconds_;
  FAIRLEAD_ASSIGN_OR_RETURN(const std::string certificate, net::SignRequest(csr_pem, spec, issuer));
  FAIRLEAD_ASSIGN_OR_RETURN(const net::CertificateInfo info, net::Describe(certificate));
  agent::v1::EnrollResponse response;
  response.set_certificate_pem(certificate + issuer.certificate_pem);
  response.set_trust_bundle_pem(ca);
  const int64_t life = info.not_after - info.not_before;
  response.set_renew_after_seconds(life * 2 / 3);
  response.set_expires_seconds(life);
  return response;
}

absl::StatusOr<std::string> InitFiles(const InitOptions& options) {
  const std::filesystem::path dir = options.dir;
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (failed) return absl::UnavailableError(StrCat(dir.string(), ": ", failed.message()));

  net::CertificateSpec root{
      .common_name = StrCat(options.trust_domain, " root"), .ca = true, .path_length = 1};
  root.lifetime_seconds = kDay * options.days * 10;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate ca, net::SelfSigned(root));
  net::CertificateSpec middle{.common_name = StrCat(options.trust_domain, " agents"), .ca = true};
  middle.lifetime_seconds = kDay * options.days * 5;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate issuer, net::Issue(middle, ca));
  net::CertificateSpec serving{
      .common_name = "fairlead-endpoint", .dns = options.dns, .ips = options.ips, .server = true};
  serving.lifetime_seconds = kDay * options.days;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate server, net::Issue(serving, ca));
  net::CertificateSpec role{.common_name = "operator",
                            .uris = {StrCat("spiffe://", options.trust_domain, "/role/operator")},
                            .client = true};
  role.lifetime_seconds = kDay * options.days;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate client, net::Issue(role, ca));
  const std::string token = base::RandomHex(24);

  const struct {
    const char* name;
    std::string text;
    mode_t mode;
  } files[] = {
      {"ca.crt", ca.certificate_pem, 0644},           {"ca.key", ca.key_pem, 0600},
      {"issuer.crt", issuer.certificate_pem, 0644},   {"issuer.key", issuer.key_pem, 0600},
      {"tls.crt", server.certificate_pem, 0644},      {"tls.key", server.key_pem, 0600},
      {"operator.crt", client.certificate_pem, 0644}, {"operator.key", client.key_pem, 0600},
      {"endpoint.yaml", Yaml(options, token), 0644}};
  for (const auto& file : files)
    FAIRLEAD_RETURN_IF_ERROR(WriteNew(dir / file.name, file.text, file.mode));
  std::filesystem::create_directories(dir / "data", failed);
  return token;
}

}  // namespace fairlead::endpoint
