#pragma once

#include <json/value.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// jsoncpp for control-plane JSON: REST bodies, statuses, patches. Never for watch events: it sorts
// keys, respells numbers and costs many times as much.
namespace fairlead::json {

struct ParseOptions {
  size_t max_bytes = size_t{16} << 20;
  size_t max_depth = 200;  // nested arrays and objects; more than 1000 counts as 1000
};

// Exactly one JSON value of any type by RFC 8259: no comments, no trailing commas, no duplicate
// keys, valid UTF-8, nothing behind it. Never throws. InvalidArgument or, for size,
// ResourceExhausted; messages give the place and never quote the text.
absl::StatusOr<Json::Value> ParseJson(std::string_view text, const ParseOptions& options = {});

// Compact, keys sorted, UTF-8 as it is: the same value gives the same bytes. Never throws; a value
// that cannot be written (not a finite number) becomes "null".
std::string WriteJson(const Json::Value& value);

}  // namespace fairlead::json
