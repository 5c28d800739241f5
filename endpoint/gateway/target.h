#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fairlead::endpoint {

// Where a request under /clusters/ goes.
struct ClusterTarget {
  std::string account;
  std::string path;  // at the API server, percent-encoded as it came
};

// Reads "/clusters/<account>/<path>". InvalidArgument for what is no account's name or no clean
// path (a segment that is "." or "..", or has a slash or a control character when decoded; an empty
// one); NotFound for anything but /api, /apis, /openapi and /version; PermissionDenied for
// subresources that open a tunnel or hand out credentials (exec, attach, portforward, proxy,
// token). Messages are for the client. Pure. Tests: unit/endpoint/gateway/target_test.cc.
absl::StatusOr<ClusterTarget> ParseClusterTarget(std::string_view path);

}  // namespace fairlead::endpoint
