#include "endpoint/gateway/target.h"

#include <algorithm>
#include <array>
#include <vector>

#include "endpoint/registry/account_spec.h"
#include "lib/base/strings.h"
#include "lib/net/http_server.h"

namespace fairlead::endpoint {

namespace {

constexpr std::string_view kPrefix = "/clusters/";
constexpr std::array<std::string_view, 4> kRoots = {"api", "apis", "openapi", "version"};
constexpr std::array<std::string_view, 5> kRefused = {"attach", "exec", "portforward", "proxy",
                                                      "token"};

template <typename List>
bool In(const List& list, std::string_view one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

bool SegmentOk(const std::string& decoded) {
  return !decoded.empty() && decoded != "." && decoded != ".." &&
         std::all_of(decoded.begin(), decoded.end(), [](char c) {
           return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '/' && c != '\\';
         });
}

// The subresource of an object, or a verb in the place of a resource (/api/v1/proxy/...); "" when
// there is none.
std::string Subresource(const std::vector<std::string>& segments) {
  size_t at = segments[0] == "apis" ? 3 : 2;  // behind /api/v1 or /apis/<group>/<version>
  if (segments[0] != "api" && segments[0] != "apis") return "";
  if (segments.size() > at && In(kRefused, segments[at])) return segments[at];
  if (segments.size() > at + 2 && segments[at] == "namespaces") {
    // /namespaces/<name>/finalize and status are of the namespace itself; neither is refused.
    at += 2;
  }
  return segments.size() > at + 2 ? segments[at + 2] : "";
}

}  // namespace

absl::StatusOr<ClusterTarget> ParseClusterTarget(std::string_view path) {
  if (!path.starts_with(kPrefix)) return absl::NotFoundError("not below /clusters/");
  const std::string_view rest = path.substr(kPrefix.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  ClusterTarget target;
  if (!net::PercentDecode(rest.substr(0, slash), &target.account) ||
      !registry::ValidAccountName(target.account)) {
    return absl::InvalidArgumentError(
        "behind /clusters/ stands the name of an account: 1 to 63 letters, digits, '_' and '-'");
  }
  target.path = std::string(rest.substr(slash));
  std::vector<std::string> segments;
  for (size_t at = 0; at < target.path.size();) {
    const size_t end = std::min(target.path.find('/', at + 1), target.path.size());
    if (end == at + 1 && end == target.path.size()) break;  // a slash at the end
    std::string decoded;
    if (!net::PercentDecode(std::string_view(target.path).substr(at + 1, end - at - 1), &decoded) ||
        !SegmentOk(decoded)) {
      return absl::InvalidArgumentError("the path has a segment that no API server path has");
    }
    segments.push_back(std::move(decoded));
    at = end;
  }
  if (segments.empty() || !In(kRoots, segments[0])) {
    return absl::NotFoundError("there are /api, /apis, /openapi and /version below an account");
  }
  const std::string subresource = Subresource(segments);
  if (In(kRefused, subresource)) {
    return absl::PermissionDeniedError(
        base::StrCat(subresource, " is not passed on by the gateway"));
  }
  return target;
}

}  // namespace fairlead::endpoint
