#include "cli/account_watch.h"

#include <algorithm>
#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::cli {

using base::StrCat;

void AccountWatch::OnStart() {
  rest_.clear();
  listed_.clear();
  batch_.clear();
  synced_ = false;
}

bool AccountWatch::Wanted(const std::string& name) const {
  return names_.empty() || std::find(names_.begin(), names_.end(), name) != names_.end();
}

absl::Status AccountWatch::OnLine(std::string_view line, std::vector<AccountChange>* out) {
  if (line.empty()) return absl::OkStatus();  // says that the stream lives
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value event, json::ParseJson(line));
  const std::string type = TextOf(event, "type");
  if (type == "SYNCED") {
    for (const auto& [name, text] : known_) {
      if (!listed_.contains(name)) batch_.push_back({name, true, {}});
    }
    known_ = std::move(listed_);
    listed_.clear();
    synced_ = true;
    std::move(batch_.begin(), batch_.end(), std::back_inserter(*out));
    batch_.clear();
    return absl::OkStatus();
  }
  if (type != "PUT" && type != "DELETED") {
    return absl::InvalidArgumentError("the answer is no watch of accounts");
  }
  AccountChange change;
  change.deleted = type == "DELETED";
  change.name = change.deleted ? TextOf(event, "name") : TextOf(event["account"], "name");
  if (!Wanted(change.name)) return absl::OkStatus();
  if (change.deleted) {
    known_.erase(change.name);
    out->push_back(std::move(change));
    return absl::OkStatus();
  }
  change.account = event["account"];
  const std::string text = json::WriteJson(change.account);
  const auto before = known_.find(change.name);
  const bool same = before != known_.end() && before->second == text;
  (synced_ ? known_ : listed_)[change.name] = text;
  if (!same) (synced_ ? *out : batch_).push_back(std::move(change));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AccountChange>> AccountWatch::OnBytes(std::string_view bytes) {
  constexpr size_t kLongestLine = size_t{4} << 20;
  std::vector<AccountChange> out;
  while (true) {
    const size_t end = bytes.find('\n');
    rest_ += bytes.substr(0, end);
    if (rest_.size() > kLongestLine) {
      return absl::InvalidArgumentError(StrCat("a line is longer than ", kLongestLine, " bytes"));
    }
    if (end == std::string_view::npos) return out;
    bytes.remove_prefix(end + 1);
    FAIRLEAD_RETURN_IF_ERROR(OnLine(std::exchange(rest_, ""), &out));
  }
}

}  // namespace fairlead::cli
