#pragma once

#include <json/value.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cli/settings.h"
#include "lib/rest/client.h"

namespace fairlead::cli {

// One endpoint's REST: requests by lib/rest, streams without an end by libcurl. One thread; blocks.
class Connection {
 public:
  // Reads the files of `settings`. Errors name the file.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const Settings& settings);

  // `path` is percent-encoded. The body of a 2xx answer; errors as in cli/answers.h.
  absl::StatusOr<rest::Answer> GetText(const std::string& path);
  absl::StatusOr<Json::Value> GetJson(const std::string& path);
  // Without a body.
  absl::StatusOr<Json::Value> PostJson(const std::string& path);

  // Gives the body of a 2xx answer to `on_bytes` as it comes, until that returns an error, which is
  // then returned, or the stream ends: Unavailable, also after 45 s of silence (the endpoint sends
  // a line every 15 s).
  absl::Status Stream(const std::string& path,
                      const std::function<absl::Status(std::string_view)>& on_bytes);

  [[nodiscard]] const std::string& url() const { return options_.base_url; }

 private:
  Connection(rest::ClientOptions options, std::unique_ptr<rest::Client> client);
  absl::StatusOr<Json::Value> Parsed(const rest::Answer& answer);
  rest::ClientOptions options_;
  std::unique_ptr<rest::Client> client_;
};

}  // namespace fairlead::cli
