#pragma once

#include <json/value.h>

#include <string>

// Small, non-throwing reads of control-plane JSON (never the hot path): a missing or wrongly typed
// member reads as null or "". For .cc files.
namespace fairlead::kube {

// Member `key` of an object; a null value otherwise.
const Json::Value& At(const Json::Value& value, const char* key);

std::string StringAt(const Json::Value& value, const char* key);

}  // namespace fairlead::kube
