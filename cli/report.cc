#include "cli/report.h"

#include <algorithm>
#include <utility>

#include "cli/render.h"
#include "cli/views.h"
#include "lib/base/strings.h"
#include "lib/kube/printable.h"

namespace fairlead::cli {
namespace {

using base::StrCat;

int64_t NumberOf(const Json::Value& object, const char* key, int64_t fallback = 0) {
  if (!object.isObject() || !object[key].isInt64()) return fallback;
  return object[key].asInt64();
}

// At most five, as a problem is one line.
std::string Listed(const std::vector<std::string>& items) {
  constexpr size_t kMost = 5;
  std::string out;
  for (size_t i = 0; i < items.size() && i < kMost; ++i) {
    out += StrCat(i == 0 ? "" : ", ", items[i]);
  }
  return items.size() > kMost ? StrCat(out, " and ", items.size() - kMost, " more") : out;
}

std::string WatchName(const Json::Value& watch) {
  const std::string group = TextOf(watch, "group");
  const std::string scope = TextOf(watch, "watch");
  return StrCat(TextOf(watch, "resource"), group.empty() ? "" : ".", group,
                scope.empty() ? "" : " in ", scope);
}

void ReadStatus(const Json::Value& status, AccountReport* out) {
  out->connected = TrueOf(status, "connected");
  out->standbys = NumberOf(status, "standbys");
  out->state = TextOf(status, "state");
  out->not_watching = TextsOf(status, "kinds");
  if (!out->connected) {
    out->problems.emplace_back(
        "no agent is connected: see the agent's pod and its log, and that its identity is one of "
        "the account's");
    return;
  }
  if (!out->state.empty() && out->state != "Running") {
    const std::string detail = TextOf(status, "detail");
    out->problems.push_back(StrCat("the agent says ", out->state, detail.empty() ? "" : ": ",
                                   detail, ": see the agent's log"));
  }
  std::vector<std::string> unwatched = out->not_watching;
  std::erase_if(unwatched,
                [](const std::string& one) { return one.find(": Missing") != std::string::npos; });
  if (!unwatched.empty()) {
    out->problems.push_back(StrCat("not watching ", Listed(unwatched)));
  }
}

void ReadWatches(const StatusInput::Freshness& freshness, int64_t max_age_ms, AccountReport* out) {
  if (!freshness.read.ok()) {
    out->problems.push_back(StrCat("freshness: ", freshness.read.message()));
    return;
  }
  std::vector<std::string> never, old;
  std::string oldest;
  int64_t oldest_ms = -1;
  const Json::Value& answer = freshness.answer;
  for (const Json::Value& watch : answer.isObject() ? answer["watches"] : Json::Value()) {
    out->held_rows += NumberOf(watch, "held");
    // What is refused is said to be so above.
    if (TextOf(watch, "state") == "Forbidden") continue;
    ++out->watches;
    const int64_t age = NumberOf(watch, "ageMs", -1);
    if (age < 0) {
      never.push_back(WatchName(watch));
      continue;
    }
    if (age > max_age_ms) old.push_back(WatchName(watch));
    if (age > oldest_ms) {
      oldest_ms = age;
      oldest = WatchName(watch);
    }
  }
  out->oldest_age_ms = never.empty() ? oldest_ms : -1;
  if (out->watches == 0) {
    out->problems.emplace_back("nothing was read from the cluster yet");
  }
  if (!never.empty()) {
    out->problems.push_back(
        StrCat(never.size(), " of ", out->watches, " first lists not finished: ", Listed(never)));
  }
  if (!old.empty()) {
    out->problems.push_back(StrCat(old.size(), " of ", out->watches, " watches are older than ",
                                   AgeText(max_age_ms), ": ", Listed(old), "; the oldest is ",
                                   oldest, ", ", AgeText(oldest_ms)));
  }
  if (out->held_rows > 0) {
    out->problems.push_back(StrCat(out->held_rows,
                                   " rows are held by deletion protection: a list of the cluster "
                                   "did not have them any more"));
  }
}

Json::Value Strings(const std::vector<std::string>& items) {
  Json::Value out(Json::arrayValue);
  for (const std::string& one : items) out.append(one);
  return out;
}

Json::Value ReportJson(const StatusReport& report) {
  Json::Value out;
  out["healthy"] = report.healthy();
  out["endpoint"]["url"] = report.url;
  out["endpoint"]["ready"] = report.ready;
  out["problems"] = Strings(report.problems);
  out["accounts"] = Json::Value(Json::arrayValue);
  for (const AccountReport& account : report.accounts) {
    Json::Value one;
    one["name"] = account.name;
    one["connected"] = account.connected;
    one["standbys"] = Json::Int64(account.standbys);
    one["state"] = account.state;
    one["watches"] = Json::Int64(account.watches);
    one["oldestAgeMs"] = Json::Int64(account.oldest_age_ms);
    one["heldRows"] = Json::Int64(account.held_rows);
    one["notWatching"] = Strings(account.not_watching);
    one["problems"] = Strings(account.problems);
    out["accounts"].append(one);
  }
  return out;
}

std::string ReportText(const StatusReport& report) {
  std::string text =
      StrCat("endpoint ", report.url, ": ", report.ready ? "ready" : "not ready", "\n");
  if (!report.accounts.empty()) {
    Table table({"ACCOUNT", "AGENT", "STANDBYS", "STATE", "WATCHES", "OLDEST", "HELD", "PROBLEMS"});
    for (const AccountReport& one : report.accounts) {
      table.Add({one.name, one.connected ? "connected" : "none", std::to_string(one.standbys),
                 one.state, std::to_string(one.watches), AgeText(one.oldest_age_ms),
                 std::to_string(one.held_rows), std::to_string(one.problems.size())});
    }
    text += StrCat("\n", table.Flush());
  }
  text += report.healthy() ? "\nall is well\n" : "\n";
  for (const std::string& problem : report.problems) {
    text += StrCat("problem: ", kube::Printable(problem, 2000), "\n");
  }
  return text;
}

}  // namespace

StatusReport Assess(const StatusInput& input) {
  StatusReport report;
  report.url = input.url;
  report.ready = input.ready.ok();
  if (!input.ready.ok()) report.problems.push_back(StrCat("endpoint: ", input.ready.message()));
  if (!input.accounts_read.ok()) {
    report.problems.push_back(StrCat("accounts: ", input.accounts_read.message()));
  }
  const int64_t max_age_ms = base::AgeMs(input.max_age);
  for (const Json::Value& account : input.accounts) {
    AccountReport one;
    one.name = TextOf(account, "name");
    ReadStatus(account.isObject() ? account["status"] : Json::Value(), &one);
    const auto freshness = input.freshness.find(one.name);
    if (freshness != input.freshness.end()) ReadWatches(freshness->second, max_age_ms, &one);
    for (const std::string& problem : one.problems) {
      report.problems.push_back(StrCat(one.name, ": ", problem));
    }
    report.accounts.push_back(std::move(one));
  }
  return report;
}

std::string RenderReport(const StatusReport& report, Output output) {
  if (output == Output::kTable) return ReportText(report);
  const Json::Value json = ReportJson(report);
  return output == Output::kJson ? StrCat(ToJson(json), "\n") : ToYaml(json);
}

}  // namespace fairlead::cli
