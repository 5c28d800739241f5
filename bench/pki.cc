#include "bench/pki.h"

#include <filesystem>
#include <fstream>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/net/x509.h"

namespace fairlead::bench {

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return absl::UnavailableError(base::StrCat("cannot write ", path));
  return absl::OkStatus();
}

absl::Status WriteCertificates(const std::string& dir) {
  constexpr int64_t kDay = 86400;
  net::CertificateSpec root{.common_name = "bench root", .ca = true, .path_length = 1};
  root.lifetime_seconds = kDay;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate ca, net::SelfSigned(root));
  net::CertificateSpec serving{
      .common_name = "bench", .dns = {"localhost"}, .ips = {"127.0.0.1"}, .server = true};
  serving.lifetime_seconds = kDay;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate server, net::Issue(serving, ca));
  net::CertificateSpec role{
      .common_name = "bench", .uris = {"spiffe://bench/agent/bench"}, .client = true};
  role.lifetime_seconds = kDay;
  FAIRLEAD_ASSIGN_OR_RETURN(const net::KeyAndCertificate client, net::Issue(role, ca));

  const std::string identity = dir + "/identity";
  std::error_code failed;
  std::filesystem::create_directories(identity, failed);
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(dir + "/ca.crt", ca.certificate_pem));
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(dir + "/server.crt", server.certificate_pem));
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(dir + "/server.key", server.key_pem));
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(identity + "/tls.crt", client.certificate_pem));
  return WriteFile(identity + "/tls.key", client.key_pem);
}

absl::Status WriteKubeconfig(const std::string& dir, int port) {
  return WriteFile(dir + "/kubeconfig",
                   base::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: bench\nclusters:\n"
                                "  - {name: bench, cluster: {server: \"https://127.0.0.1:",
                                port, "\", certificate-authority: ca.crt}}\nusers:\n",
                                "  - {name: bench, user: {client-certificate: identity/tls.crt, "
                                "client-key: identity/tls.key}}\ncontexts:\n",
                                "  - {name: bench, context: {cluster: bench, user: bench}}\n"));
}

}  // namespace fairlead::bench
