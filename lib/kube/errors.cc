#include "lib/kube/errors.h"

#include <json/value.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/kube/json_value.h"
#include "lib/kube/printable.h"

namespace fairlead::kube {
namespace {

constexpr size_t kMaxBody = 64 * 1024;
constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxCauses = 32;
constexpr int64_t kMaxRetrySeconds = 600;

Reason ReasonOfCode(int code) {
  switch (code) {
    case 400:
      return Reason::kBadRequest;
    case 401:
      return Reason::kUnauthorized;
    case 403:
      return Reason::kForbidden;
    case 404:
      return Reason::kNotFound;
    case 405:
      return Reason::kMethodNotAllowed;
    case 409:
      return Reason::kConflict;
    case 410:
      return Reason::kGone;
    case 422:
      return Reason::kInvalid;
    case 429:
      return Reason::kTooManyRequests;
    case 408:
    case 504:
      return Reason::kTimeout;
    case 502:
    case 503:
      return Reason::kUnavailable;
    default:
      return code >= 500 ? Reason::kInternal : Reason::kUnknown;
  }
}

// Status.reason refines the class that the code gives; it never contradicts it.
Reason Refine(int code, std::string_view status_reason) {
  if (code == 409 && status_reason == "AlreadyExists") return Reason::kAlreadyExists;
  if (code == 410 && status_reason == "Expired") return Reason::kExpired;
  return ReasonOfCode(code);
}

std::optional<base::Duration> RetryAfter(int64_t seconds) {
  if (seconds < 0) return std::nullopt;
  return base::seconds(std::min(seconds, kMaxRetrySeconds));
}

std::optional<base::Duration> RetryAfterHeader(const net::Headers& headers) {
  const std::string_view text = net::FindHeader(headers, "retry-after");
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;  // dates are not used
  if (error == std::errc::result_out_of_range) return RetryAfter(kMaxRetrySeconds);
  return RetryAfter(seconds);
}

void ReadStatus(const Json::Value& status, ApiError* error) {
  error->status_reason = Printable(StringAt(status, "reason"), 64);
  error->message = Printable(StringAt(status, "message"), kMaxMessage);
  const Json::Value& details = At(status, "details");
  for (const Json::Value& cause : At(details, "causes")) {
    if (error->causes.size() == kMaxCauses) break;
    error->causes.push_back({Printable(StringAt(cause, "reason"), 64),
                             Printable(StringAt(cause, "message"), kMaxMessage),
                             Printable(StringAt(cause, "field"), 256)});
  }
  if (error->code == 404 && error->status_reason == "NotFound") {
    error->absent_name = Printable(StringAt(details, "name"), 253);
  }
  const Json::Value& retry = At(details, "retryAfterSeconds");
  if (retry.isInt64() && retry.asInt64() > 0) error->retry_after = RetryAfter(retry.asInt64());
  if (error->code == 410) {
    const std::string token = StringAt(At(status, "metadata"), "continue");
    if (token.size() <= 4096) error->continue_token = token;
  }
}

absl::StatusCode CodeOf(Reason reason) {
  switch (reason) {
    case Reason::kTransport:
    case Reason::kUnavailable:
      return absl::StatusCode::kUnavailable;
    case Reason::kMalformed:
      return absl::StatusCode::kDataLoss;
    case Reason::kBadRequest:
    case Reason::kInvalid:
      return absl::StatusCode::kInvalidArgument;
    case Reason::kUnauthorized:
      return absl::StatusCode::kUnauthenticated;
    case Reason::kForbidden:
      return absl::StatusCode::kPermissionDenied;
    case Reason::kNotFound:
      return absl::StatusCode::kNotFound;
    case Reason::kMethodNotAllowed:
      return absl::StatusCode::kUnimplemented;
    case Reason::kAlreadyExists:
      return absl::StatusCode::kAlreadyExists;
    case Reason::kConflict:
      return absl::StatusCode::kAborted;
    case Reason::kGone:
    case Reason::kExpired:
      return absl::StatusCode::kOutOfRange;
    case Reason::kTooManyRequests:
      return absl::StatusCode::kResourceExhausted;
    case Reason::kTimeout:
      return absl::StatusCode::kDeadlineExceeded;
    case Reason::kInternal:
      return absl::StatusCode::kInternal;
    case Reason::kUnknown:
      return absl::StatusCode::kUnknown;
  }
  return absl::StatusCode::kUnknown;
}

}  // namespace

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kTransport:
      return "Transport";
    case Reason::kMalformed:
      return "Malformed";
    case Reason::kBadRequest:
      return "BadRequest";
    case Reason::kUnauthorized:
      return "Unauthorized";
    case Reason::kForbidden:
      return "Forbidden";
    case Reason::kNotFound:
      return "NotFound";
    case Reason::kMethodNotAllowed:
      return "MethodNotAllowed";
    case Reason::kAlreadyExists:
      return "AlreadyExists";
    case Reason::kConflict:
      return "Conflict";
    case Reason::kGone:
      return "Gone";
    case Reason::kExpired:
      return "Expired";
    case Reason::kInvalid:
      return "Invalid";
    case Reason::kTooManyRequests:
      return "TooManyRequests";
    case Reason::kTimeout:
      return "Timeout";
    case Reason::kUnavailable:
      return "ServiceUnavailable";
    case Reason::kInternal:
      return "InternalError";
    case Reason::kUnknown:
      return "Unknown";
  }
  return "Unknown";
}

ApiError DecodeError(int code, const net::Headers& headers, std::string_view body) {
  ApiError error;
  error.code = code;
  const absl::StatusOr<Json::Value> status = json::ParseJson(body.substr(0, kMaxBody));
  if (status.ok() && StringAt(*status, "kind") == "Status") {
    ReadStatus(*status, &error);
  } else if (!body.empty()) {
    error.message = base::StrCat("not a Kubernetes answer: ", Printable(body.substr(0, 200), 120));
  }
  error.reason = Refine(code, error.status_reason);
  if (const auto header = RetryAfterHeader(headers)) error.retry_after = header;
  return error;
}

ApiError DecodeWatchError(std::string_view status_json) {
  ApiError error;
  const absl::StatusOr<Json::Value> status = json::ParseJson(status_json.substr(0, kMaxBody));
  if (!status.ok() || !status->isObject()) {
    error.reason = Reason::kMalformed;
    error.message = "ERROR event without a Status";
    return error;
  }
  const Json::Value& code = At(*status, "code");
  error.code = code.isInt() ? code.asInt() : 500;
  ReadStatus(*status, &error);
  error.reason = Refine(error.code, error.status_reason);
  return error;
}

ApiError TransportError(const absl::Status& status) {
  ApiError error;
  error.reason = Reason::kTransport;
  error.message = Printable(base::View(status.message()), kMaxMessage);
  return error;
}

std::string Describe(const ApiError& error) {
  std::string out;
  if (error.code != 0) out = base::StrCat(error.code, " ");
  out += ReasonName(error.reason);
  if (!error.message.empty()) out += base::StrCat(": ", error.message);
  return out;
}

absl::Status ToStatus(const ApiError& error) {
  return absl::Status(CodeOf(error.reason), Describe(error));
}

}  // namespace fairlead::kube
