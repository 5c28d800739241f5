#pragma once

#include <json/value.h>

#include <string_view>

#include "absl/status/status.h"
#include "endpoint/store/types.h"
#include "lib/net/http_server.h"

// What the REST API's answers look like (docs/reference/rest.md). For its .cc files. Any thread.
namespace fairlead::endpoint {

inline constexpr char kJson[] = "application/json";

// {"error": {"reason": ..., "message": ...}}
void Fail(net::HttpResponder& responder, int status, std::string_view reason,
          std::string_view message);
void Fail(net::HttpResponder& responder, const absl::Status& status);
void Ok(net::HttpResponder& responder, const Json::Value& body);
Json::Value KindJson(const store::Kind& kind);

}  // namespace fairlead::endpoint
