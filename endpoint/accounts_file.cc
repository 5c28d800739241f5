#include "endpoint/accounts_file.h"

#include <json/json.h>

#include <future>
#include <memory>

#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::endpoint {

absl::Status AccountsFile::Load() {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path_));
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value root, json::ParseJson(text));
  if (!root.isObject() || !root["accounts"].isArray()) {
    return absl::InvalidArgumentError(base::StrCat(path_, ": must be {\"accounts\": [...]}"));
  }
  std::vector<registry::PutRequest> puts;
  for (const Json::Value& one : root["accounts"]) {
    if (!one.isObject() || !one["name"].isString() || !one["spec"].isObject()) {
      return absl::InvalidArgumentError(
          base::StrCat(path_, ": accounts: each needs \"name\" and \"spec\""));
    }
    registry::PutRequest put;
    put.name = one["name"].asString();
    put.owner = "file";
    put.spec_json = json::WriteJson(one["spec"]);
    puts.push_back(std::move(put));
  }
  auto done = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> result = done->get_future();
  FAIRLEAD_RETURN_IF_ERROR(writer_->Do([this, puts, done](store::Store&) {
    for (const registry::PutRequest& put : puts) {
      const auto account = registry_->Put(put);
      if (!account.ok()) {
        return done->set_value(
            base::WithContext(account.status(), base::StrCat(path_, ": account ", put.name)));
      }
    }
    done->set_value(absl::OkStatus());
  }));
  return result.get();
}

}  // namespace fairlead::endpoint
