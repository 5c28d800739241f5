#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/net/http.h"

// Typed Kubernetes API errors, decoded from HTTP code, headers and the Status body.
// Source: Kubernetes API conventions, "Response Status Kind" and "HTTP Status codes".
namespace fairlead::kube {

enum class Reason {
  kTransport,  // no HTTP answer: connection lost, refused, deadline; code 0
  kMalformed,  // an answer that could not be read (not the server's refusal)
  kBadRequest,
  kUnauthorized,
  kForbidden,
  kNotFound,
  kMethodNotAllowed,
  kAlreadyExists,  // 409 of a create
  kConflict,       // 409 of an update: resourceVersion, uid, or server-side apply
  kGone,           // 410, version no longer served
  kExpired,        // 410, continue token or resourceVersion too old
  kInvalid,        // 422, causes name the fields
  kTooManyRequests,
  kTimeout,      // 504 (and 408); ResourceVersionTooLarge comes as this
  kUnavailable,  // 502, 503
  kInternal,     // other 5xx
  kUnknown,      // any other code
};

struct StatusCause {
  std::string reason;
  std::string message;
  std::string field;
};

struct ApiError {
  int code = 0;  // HTTP; 0 = none came
  Reason reason = Reason::kUnknown;
  std::string status_reason;        // Status.reason as sent, "" for other bodies
  std::string message;              // safe to print, at most 1 KiB
  std::vector<StatusCause> causes;  // at most 32; safe to print
  // Header Retry-After, else details.retryAfterSeconds; at most 10 minutes.
  std::optional<base::Duration> retry_after;
  // Of a 404 about one object: its name. "" when it is the path or the resource that is not known,
  // which says nothing about objects (a server that has just started, a CRD not read yet).
  std::string absent_name;
  // The server's token to go on with an expired list, inconsistently (410 only).
  std::string continue_token;

  [[nodiscard]] bool object_absent() const { return !absent_name.empty(); }
  [[nodiscard]] bool expired() const {
    return reason == Reason::kGone || reason == Reason::kExpired;
  }
};

// "AlreadyExists", "Conflict", ... for logs and conditions.
std::string_view ReasonName(Reason reason);

// Never fails: bodies that are no Status (HTML of a proxy, cut JSON, gzip, nothing) are classified
// by `code`. Bodies are read up to 64 KiB.
ApiError DecodeError(int code, const net::Headers& headers, std::string_view body);

// Decodes the Status object of a watch ERROR event; its own `code` counts. Bad JSON = kMalformed.
ApiError DecodeWatchError(std::string_view status_json);

ApiError TransportError(const absl::Status& status);

// "403 Forbidden: pods is forbidden ..."; never a secret of ours.
std::string Describe(const ApiError& error);

// The nearest absl code with Describe() as message, for module edges.
absl::Status ToStatus(const ApiError& error);

}  // namespace fairlead::kube
