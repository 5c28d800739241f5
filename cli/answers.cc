#include "cli/answers.h"

#include <string>

#include "cli/views.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/kube/printable.h"

namespace fairlead::cli {

using base::StrCat;

absl::Status AnswerError(int code, std::string_view body) {
  std::string text = StrCat("HTTP ", code);
  const auto json = json::ParseJson(body);
  if (json.ok() && json->isObject() && (*json)["error"].isObject()) {
    text += StrCat(": ", kube::Printable(TextOf((*json)["error"], "message")));
  } else {
    text += ", not as an endpoint of Fairlead answers; check the address of its REST (--endpoint)";
  }
  switch (code) {
    case 400:
      return absl::InvalidArgumentError(text);
    case 401:
      return absl::PermissionDeniedError(
          StrCat(text, "; give --token-file FILE, or --cert FILE and --key FILE"));
    case 403:
      return absl::PermissionDeniedError(StrCat(text, "; use a credential with another role"));
    case 404:
      return absl::NotFoundError(text);
    default:
      return absl::UnavailableError(
          StrCat(text, "; try again, and if it stays see /readyz and the endpoint's log"));
  }
}

absl::Status TransportError(const absl::Status& status) {
  const std::string text = kube::Printable(base::View(status.message()));
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(StrCat(
        text, "; the endpoint took too long: try again, or raise timeoutSeconds in ctl.yaml"));
  }
  if (!absl::IsUnavailable(status)) return absl::Status(status.code(), text);
  for (const char* word : {"SSL", "TLS", "handshake", "certificate"}) {
    if (text.find(word) == std::string::npos) continue;
    return absl::UnavailableError(
        StrCat(text,
               "; check that --ca holds the authority of the endpoint's certificate, and that "
               "the certificate names this host"));
  }
  return absl::UnavailableError(
      StrCat(text, "; check that the endpoint runs and that this is the address of its REST"));
}

}  // namespace fairlead::cli
