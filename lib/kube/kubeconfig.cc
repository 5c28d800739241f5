#include "lib/kube/kubeconfig.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::kube {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr char kMount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

using base::StrCat;

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '=') continue;
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+') value = 62;
    if (c == '/') value = 63;
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out += static_cast<char>(bits >> have & 0xff);
  }
  return out;
}

// What goes into a Host header and a certificate check: no line breaks, no zones, nothing encoded.
bool IsHost(std::string_view text) {
  return !text.empty() && text.size() <= 253 &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
             std::string_view::npos;
}

// yaml-cpp throws for what it does not like; nothing of that leaves this class.
class Reader {
 public:
  Reader(std::string_view source, KubeconfigTrust trust, std::string directory)
      : source_(source), trust_(trust), directory_(std::move(directory)) {}

  absl::StatusOr<ClusterAccess> Read(std::string_view yaml) {
    if (yaml.size() > kMaxBytes) return Error("", "is larger than 1 MiB");
    try {
      return ReadDocument(YAML::Load(std::string(yaml)));
    } catch (const YAML::Exception& problem) {
      // Only the place: a parser's message may quote a credential.
      return Error("", StrCat("is not a kubeconfig (line ", problem.mark.line + 1, ")"));
    }
  }

 private:
  absl::Status Error(std::string_view field, std::string_view why) const {
    return absl::InvalidArgumentError(
        StrCat(source_, field.empty() ? "" : ": ", field, field.empty() ? " " : ": ", why));
  }

  static std::string Text(const YAML::Node& node, const char* key) {
    const YAML::Node value = node.IsMap() ? node[key] : YAML::Node();
    return value.IsDefined() && value.IsScalar() ? value.Scalar() : "";
  }

  // The member `what` of the entry of `list` called `name`.
  static YAML::Node Named(const YAML::Node& root, const char* list, const std::string& name,
                          const char* what) {
    const YAML::Node entries = root[list];
    if (!entries.IsDefined() || !entries.IsSequence()) return YAML::Node(YAML::NodeType::Undefined);
    for (const YAML::Node& entry : entries) {
      if (entry.IsMap() && Text(entry, "name") == name && entry[what].IsDefined() &&
          entry[what].IsMap()) {
        return entry[what];
      }
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  absl::StatusOr<ClusterAccess> ReadDocument(const YAML::Node& root) {
    if (!root.IsMap()) return Error("", "is not a kubeconfig");
    const std::string current = Text(root, "current-context");
    if (current.empty()) return Error("current-context", "is missing");
    const YAML::Node context = Named(root, "contexts", current, "context");
    if (!context.IsDefined()) return Error("current-context", "names no context of this file");
    const YAML::Node cluster = Named(root, "clusters", Text(context, "cluster"), "cluster");
    if (!cluster.IsDefined())
      return Error("contexts.context.cluster", "names no cluster of this file");
    ClusterAccess access;
    FAIRLEAD_RETURN_IF_ERROR(ReadCluster(cluster, &access));
    const YAML::Node user = Named(root, "users", Text(context, "user"), "user");
    if (user.IsDefined()) FAIRLEAD_RETURN_IF_ERROR(ReadUser(user, &access));
    if (trust_ == KubeconfigTrust::kHostile && access.token.empty() &&
        access.certificate_pem.empty()) {
      return Error("users.user", "has neither token nor client-certificate-data");
    }
    return access;
  }

  absl::Status ReadCluster(const YAML::Node& cluster, ClusterAccess* access) {
    if (Text(cluster, "insecure-skip-tls-verify") == "true") {
      return Error("clusters.cluster.insecure-skip-tls-verify",
                   "is not allowed; give the CA instead");
    }
    if (cluster["proxy-url"].IsDefined()) {
      return Error("clusters.cluster.proxy-url", "is not supported");
    }
    FAIRLEAD_RETURN_IF_ERROR(ReadServer(Text(cluster, "server"), access));
    access->server_name = Text(cluster, "tls-server-name");
    if (!access->server_name.empty() && !IsHost(access->server_name)) {
      return Error("clusters.cluster.tls-server-name", "is not a host name");
    }
    return ReadData(cluster, "clusters.cluster.", "certificate-authority", &access->ca_pem);
  }

  absl::Status ReadServer(std::string url, ClusterAccess* access) {
    const std::string_view field = "clusters.cluster.server";
    if (url.starts_with("https://")) {
      url.erase(0, 8);
    } else if (url.starts_with("http://") && trust_ == KubeconfigTrust::kFile) {
      access->scheme = "http";
      access->port = 80;
      url.erase(0, 7);
    } else {
      return Error(field, "must begin with https://");
    }
    while (url.ends_with('/')) url.pop_back();
    if (url.find_first_of("/?#@") != std::string::npos) {
      return Error(field, "may not have a path, a query or a user");
    }
    const size_t bracket = url.rfind(']');
    const size_t colon = url.find(':', bracket == std::string::npos ? 0 : bracket);
    std::string host = url.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (colon != std::string::npos) {
      const std::string port = url.substr(colon + 1);
      const bool digits = !port.empty() && port.size() <= 5 &&
                          port.find_first_not_of("0123456789") == std::string::npos;
      access->port = digits ? std::atoi(port.c_str()) : 0;
      if (access->port < 1 || access->port > 65535) return Error(field, "has no valid port");
    }
    if (!IsHost(host)) return Error(field, "has no valid host");
    if (trust_ == KubeconfigTrust::kHostile && ForbiddenAddress(host)) {
      return Error(field, "is a loopback, link-local or unspecified address");
    }
    access->host = std::move(host);
    return absl::OkStatus();
  }

  absl::Status ReadUser(const YAML::Node& user, ClusterAccess* access) {
    for (const char* plugin : {"exec", "auth-provider"}) {
      if (user[plugin].IsDefined()) {
        return Error(StrCat("users.user.", plugin), "plug-ins are not supported; use a token");
      }
    }
    for (const char* key : {"username", "password", "as", "as-uid", "as-groups", "as-user-extra"}) {
      if (user[key].IsDefined()) return Error(StrCat("users.user.", key), "is not supported");
    }
    FAIRLEAD_RETURN_IF_ERROR(
        ReadData(user, "users.user.", "client-certificate", &access->certificate_pem));
    FAIRLEAD_RETURN_IF_ERROR(ReadData(user, "users.user.", "client-key", &access->key_pem));
    if (access->certificate_pem.empty() != access->key_pem.empty()) {
      return Error("users.user", "has a client certificate without its key, or the reverse");
    }
    access->token = Text(user, "token");
    const std::string file = Text(user, "tokenFile");
    if (!file.empty()) {
      if (trust_ == KubeconfigTrust::kHostile)
        return Error("users.user.tokenFile", "is not allowed here");
      access->token_file = Resolve(file);
    }
    for (const char c : access->token) {
      if (c < '!' || c > '~') return Error("users.user.token", "holds characters no token has");
    }
    return absl::OkStatus();
  }

  // `<key>-data`, else the file `<key>`.
  absl::Status ReadData(const YAML::Node& node, std::string_view prefix, const std::string& key,
                        std::string* out) {
    const std::string file = Text(node, key.c_str());
    if (!file.empty() && trust_ == KubeconfigTrust::kHostile) {
      return Error(StrCat(prefix, key), "is a path; give the data");
    }
    const std::string data = Text(node, (key + "-data").c_str());
    if (!data.empty()) {
      auto decoded = DecodeBase64(data);
      if (!decoded) return Error(StrCat(prefix, key, "-data"), "is not base64");
      *out = *std::move(decoded);
      return absl::OkStatus();
    }
    if (file.empty()) return absl::OkStatus();
    auto text = base::ReadFile(Resolve(file));
    if (!text.ok()) return base::WithContext(text.status(), StrCat(source_, ": ", prefix, key));
    *out = *std::move(text);
    return absl::OkStatus();
  }

  [[nodiscard]] std::string Resolve(const std::string& file) const {
    return std::filesystem::path(directory_) / file;
  }

  std::string source_;
  KubeconfigTrust trust_;
  std::string directory_;
};

bool ForbiddenV4(uint32_t a) {
  return (a >> 24) == 127 || (a >> 24) == 0 || (a >> 16) == 0xa9fe || (a >> 28) >= 14;
}

}  // namespace

bool ForbiddenAddress(std::string_view text) {
  std::string host(text);
  for (char& c : host) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  while (host.ends_with('.')) host.pop_back();
  for (const char* name : {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}) {
    if (host == name) return true;
  }
  if (host.ends_with(".localhost")) return true;
  // getaddrinfo understands every spelling a resolver would (0x7f.1, 2130706433, ::ffff:127.0.0.1).
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  bool forbidden = false;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(one->ai_addr);
      forbidden |= ForbiddenV4(ntohl(address->sin_addr.s_addr));
    } else if (one->ai_family == AF_INET6) {
      const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(one->ai_addr)->sin6_addr;
      const uint8_t* b = address.s6_addr;
      const bool embedded = IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address);
      const uint32_t v4 = static_cast<uint32_t>(b[12]) << 24 | b[13] << 16 | b[14] << 8 | b[15];
      forbidden |= IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_LINKLOCAL(&address) ||
                   IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_MULTICAST(&address) ||
                   (embedded && ForbiddenV4(v4));
    }
  }
  freeaddrinfo(found);
  return forbidden;
}

absl::StatusOr<ClusterAccess> ParseKubeconfig(std::string_view yaml, std::string_view source,
                                              KubeconfigTrust trust, const std::string& directory) {
  return Reader(source, trust, directory).Read(yaml);
}

absl::StatusOr<ClusterAccess> LoadKubeconfig(const std::string& path) {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  return ParseKubeconfig(text, path, KubeconfigTrust::kFile,
                         std::filesystem::path(path).parent_path());
}

absl::StatusOr<ClusterAccess> InCluster() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return absl::FailedPreconditionError(
        "inCluster: KUBERNETES_SERVICE_HOST is not set; this process does not run in a pod");
  }
  ClusterAccess access;
  access.host = host;
  access.port = std::atoi(port);
  FAIRLEAD_ASSIGN_OR_RETURN(access.ca_pem, base::ReadFile(StrCat(kMount, "ca.crt")));
  access.token_file = StrCat(kMount, "token");
  return access;
}

TokenSource::TokenSource(std::string token, std::string file)
    : token_(std::move(token)), file_(std::move(file)) {}

const std::string& TokenSource::Get(base::Time now) {
  if (file_.empty()) return token_;
  const bool first = read_ == base::Time{};
  const base::Duration age = now - read_;
  if (!first && !stale_ && age < base::seconds(60)) return token_;
  read_ = now;
  stale_ = false;
  auto text = base::ReadFile(file_);
  if (!text.ok()) return token_;
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ') text->pop_back();
  if (!text->empty()) token_ = *std::move(text);
  return token_;
}

}  // namespace fairlead::kube
