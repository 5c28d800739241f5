#include "cli/freshness.h"

#include <cstdint>

#include "cli/render.h"
#include "cli/views.h"
#include "lib/base/strings.h"

namespace fairlead::cli {
namespace {

int64_t NumberOf(const Json::Value& object, const char* key) {
  return object.isObject() && object[key].isInt64() ? object[key].asInt64() : -1;
}

void AddRows(const std::string& account, const Json::Value& answer, Table* table) {
  const Json::Value watches = answer.isObject() ? answer["watches"] : Json::Value();
  for (const Json::Value& watch : watches) {
    const std::string group = TextOf(watch, "group");
    table->Add({account, base::StrCat(TextOf(watch, "resource"), group.empty() ? "" : ".", group),
                TextOf(watch, "watch"), TextOf(watch, "state"), AgeText(NumberOf(watch, "ageMs")),
                AgeText(NumberOf(watch, "verifiedAgeMs")), std::to_string(NumberOf(watch, "count")),
                std::to_string(NumberOf(watch, "held")), TextOf(watch, "detail")});
  }
}

}  // namespace

std::string RenderFreshness(const std::vector<std::pair<std::string, Json::Value>>& accounts,
                            Output output) {
  if (output == Output::kTable) {
    Table table(
        {"ACCOUNT", "KIND", "NAMESPACE", "STATE", "AGE", "PROVEN", "ROWS", "HELD", "DETAIL"});
    for (const auto& [name, answer] : accounts) AddRows(name, answer, &table);
    return table.Flush();
  }
  Json::Value out;
  out["accounts"] = Json::Value(Json::arrayValue);
  for (const auto& [name, answer] : accounts) {
    Json::Value one = answer;
    one["name"] = name;
    out["accounts"].append(one);
  }
  return output == Output::kJson ? base::StrCat(ToJson(out), "\n") : ToYaml(out);
}

}  // namespace fairlead::cli
