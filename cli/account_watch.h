#pragma once

#include <json/value.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/views.h"

namespace fairlead::cli {

// The lines of GET /v1/accounts?watch=true as changes, across any number of streams. Pure.
//
// Guarantees: the first stream's list comes out as one batch; of a later stream's list only what
//   differs from what was seen, and what is gone, so that a reconnect shows nothing twice and hides
//   nothing.
// Bounds: a line is at most 4 MiB; memory is one entry an account.
class AccountWatch {
 public:
  // Names to tell about; empty = all.
  explicit AccountWatch(std::vector<std::string> names) : names_(std::move(names)) {}

  // A stream begins: its list will be compared with what is known.
  void OnStart();
  // Bytes of the stream, cut anywhere. InvalidArgument when it is no stream of accounts.
  absl::StatusOr<std::vector<AccountChange>> OnBytes(std::string_view bytes);
  // Whether this stream's list is complete.
  [[nodiscard]] bool synced() const { return synced_; }

 private:
  absl::Status OnLine(std::string_view line, std::vector<AccountChange>* out);
  [[nodiscard]] bool Wanted(const std::string& name) const;

  std::vector<std::string> names_;
  std::string rest_;  // of a line that has not ended
  bool synced_ = false;
  std::map<std::string, std::string> known_;  // account name -> its JSON
  std::map<std::string, std::string> listed_;
  std::vector<AccountChange> batch_;
};

}  // namespace fairlead::cli
