#include "operator/model/intent.h"

#include <json/writer.h>

#include <cstdlib>
#include <optional>

#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "operator/model/names.h"

namespace fairlead::op {

namespace {

using base::StrCat;

// Kubernetes resource.Quantity, as far as our fields use it: decimal, m, k M G T, Ki Mi Gi Ti.
std::optional<double> QuantityOf(const Json::Value& value) {
  if (value.isNumeric()) return value.asDouble();
  if (!value.isString()) return std::nullopt;
  const std::string text = value.asString();
  if (text.empty() || text.size() > 32 || text[0] < '0' || text[0] > '9') return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  static const std::pair<const char*, double> kSuffixes[] = {{"", 1},
                                                             {"m", 1e-3},
                                                             {"k", 1e3},
                                                             {"M", 1e6},
                                                             {"G", 1e9},
                                                             {"T", 1e12},
                                                             {"Ki", 1024.0},
                                                             {"Mi", 1048576.0},
                                                             {"Gi", 1.073741824e9},
                                                             {"Ti", 1.099511627776e12}};
  for (const auto& [suffix, factor] : kSuffixes) {
    if (std::string_view(end) == suffix) return number * factor;
  }
  return std::nullopt;
}

bool SameScalar(const Json::Value& live, const Json::Value& intent) {
  if (live == intent) return true;
  if (live.isNumeric() && intent.isNumeric()) return live.asDouble() == intent.asDouble();
  if (live.isBool() || intent.isBool()) return false;
  const auto a = QuantityOf(live);
  const auto b = QuantityOf(intent);
  return a && b && *a == *b;
}

std::optional<std::string> Difference(const Json::Value& live, const Json::Value& intent,
                                      const std::string& path) {
  if (intent.isObject()) {
    if (intent.empty() && live.isNull()) return std::nullopt;  // servers drop empty objects
    if (!live.isObject()) return path;
    for (const std::string& name : intent.getMemberNames()) {
      const std::string member = path.empty() ? name : StrCat(path, ".", name);
      if (auto found = Difference(live[name], intent[name], member)) return found;
    }
    return std::nullopt;
  }
  if (intent.isArray()) {
    if (intent.empty() && live.isNull()) return std::nullopt;
    if (!live.isArray() || live.size() != intent.size()) return path;
    for (Json::ArrayIndex i = 0; i < intent.size(); ++i) {
      if (auto found = Difference(live[i], intent[i], StrCat(path, "[", i, "]"))) return found;
    }
    return std::nullopt;
  }
  if (intent.isString() && intent.asString().empty() && live.isNull()) return std::nullopt;
  return SameScalar(live, intent) ? std::nullopt : std::optional<std::string>(path);
}

}  // namespace

bool Contains(const Json::Value& live, const Json::Value& intent) {
  return !Difference(live, intent, "").has_value();
}

std::string FirstDifference(const Json::Value& live, const Json::Value& intent) {
  return Difference(live, intent, "").value_or("");
}

void StampIntent(Json::Value* object) {
  Json::StreamWriterBuilder compact;
  compact["indentation"] = "";
  (*object)["metadata"]["annotations"].removeMember(kIntentAnnotation);
  const std::string hash = base::Sha256Hex(Json::writeString(compact, *object)).substr(0, 32);
  (*object)["metadata"]["annotations"][kIntentAnnotation] = hash;
}

bool NeedsApply(const Json::Value& live, const Json::Value& object) {
  return !Contains(live, object);
}

}  // namespace fairlead::op
