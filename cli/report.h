#pragma once

#include <json/value.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/arguments.h"
#include "lib/base/clock.h"

// What `fairleadctl status` says. Pure.
namespace fairlead::cli {

struct StatusInput {
  std::string url;
  absl::Status ready;                 // OK, or why the endpoint is not ready or not reachable
  absl::Status accounts_read;         // OK, or why `accounts` is empty
  std::vector<Json::Value> accounts;  // as GET /v1/accounts gives them
  // By account name: the answer of GET /v1/accounts/{name}/freshness, or why there is none.
  struct Freshness {
    absl::Status read;
    Json::Value answer;
  };
  std::map<std::string, Freshness> freshness;
  base::Duration max_age{};
};

struct AccountReport {
  std::string name;
  bool connected = false;
  int64_t standbys = 0;
  std::string state;
  int64_t watches = 0;
  int64_t oldest_age_ms = -1;  // -1: never read, or no watch
  int64_t held_rows = 0;
  std::vector<std::string> not_watching;  // "pods: Forbidden ..."
  std::vector<std::string> problems;      // each says what to do next
};

struct StatusReport {
  std::string url;
  bool ready = false;
  std::vector<AccountReport> accounts;
  std::vector<std::string> problems;  // of the endpoint, and of each account with its name before
  [[nodiscard]] bool healthy() const { return problems.empty(); }
};

// A problem is: an endpoint that is not ready; an account without an agent, or whose agent does not
// run, or with a kind that is not watched (but for one the cluster does not have), rights that are
// missing, a watch whose first list is not finished or that is older than max_age, or held rows.
StatusReport Assess(const StatusInput& input);

std::string RenderReport(const StatusReport& report, Output output);

}  // namespace fairlead::cli
