#pragma once

#include <json/value.h>

#include <string>
#include <string_view>
#include <vector>

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
// The members `body` may have, as the error says them: texts and whole numbers. A value of another
// type is an error too; taken for absent, a generation would be 0.
absl::Status OnlyKeys(const Json::Value& body, const std::vector<std::string>& texts,
                      const std::string& number, const std::vector<std::string>& others = {});
Json::Value KindJson(const store::Kind& kind);

}  // namespace fairlead::endpoint
