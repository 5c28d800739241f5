// A kubeconfig out of a Secret is refused, or it is one that may be used.
#include "lib/kube/kubeconfig.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using fairlead::kube::ForbiddenAddress;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto access =
      fairlead::kube::ParseKubeconfig(text, "secret", fairlead::kube::KubeconfigTrust::kHostile);
  if (!access.ok()) return 0;
  if (access->scheme != "https" || access->host.empty() || ForbiddenAddress(access->host)) {
    std::abort();
  }
  if (access->port < 1 || access->port > 65535) std::abort();
  if (!access->token_file.empty()) std::abort();
  if (access->token.empty() && access->certificate_pem.empty()) std::abort();
  if (access->host.find_first_of("\r\n /@") != std::string::npos) std::abort();
  return 0;
}
