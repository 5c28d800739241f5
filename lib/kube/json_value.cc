#include "lib/kube/json_value.h"

namespace fairlead::kube {

const Json::Value& At(const Json::Value& value, const char* key) {
  if (!value.isObject()) return Json::Value::nullSingleton();
  return value[key];
}

std::string StringAt(const Json::Value& value, const char* key) {
  const Json::Value& member = At(value, key);
  return member.isString() ? member.asString() : std::string();
}

}  // namespace fairlead::kube
