#pragma once

#include <json/value.h>

#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.h"

// What `fairleadctl freshness` shows. Pure.
namespace fairlead::cli {

// Accounts by name, each with the answer of GET /v1/accounts/{name}/freshness.
std::string RenderFreshness(const std::vector<std::pair<std::string, Json::Value>>& accounts,
                            Output output);

}  // namespace fairlead::cli
