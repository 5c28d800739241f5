#include "cli/commands.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "cli/account_watch.h"
#include "cli/answers.h"
#include "cli/freshness.h"
#include "cli/report.h"
#include "cli/views.h"
#include "lib/base/backoff.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/base/suggest.h"
#include "lib/kube/printable.h"
#include "lib/net/http.h"

namespace fairlead::cli {
namespace {

using base::StrCat;

absl::Status Print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return absl::OkStatus();
  return absl::DataLossError("the output cannot be written");  // does not pass
}

absl::StatusOr<std::vector<Json::Value>> ListAccounts(Connection& connection) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value body, connection.GetJson("/v1/accounts"));
  std::vector<Json::Value> accounts;
  if (!body["accounts"].isArray()) return absl::UnavailableError("the answer has no accounts");
  for (const Json::Value& one : body["accounts"]) accounts.push_back(one);
  return accounts;
}

// An account that is not there, with the nearest one that is.
absl::Status NoSuchAccount(Connection& connection, const std::string& name) {
  std::vector<std::string> known;
  if (const auto accounts = ListAccounts(connection); accounts.ok()) {
    for (const Json::Value& one : *accounts) known.push_back(TextOf(one, "name"));
  }
  const std::string nearest = kube::Printable(base::Nearest(name, known));
  return absl::NotFoundError(StrCat("account \"", kube::Printable(name),
                                    "\": the endpoint has none of that name",
                                    nearest.empty() ? "; it has no account at all"
                                                    : StrCat("; did you mean \"", nearest, "\"?")));
}

absl::StatusOr<Json::Value> GetAccount(Connection& connection, const std::string& name) {
  auto body = connection.GetJson(StrCat("/v1/accounts/", net::PercentEncode(name)));
  if (absl::IsNotFound(body.status())) return NoSuchAccount(connection, name);
  if (!body.ok())
    return base::WithContext(body.status(), StrCat("account ", kube::Printable(name)));
  return body;
}

bool Passes(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// Ends only by a signal, by an error that does not pass, or when nothing was ever there.
absl::Status WatchAccounts(const Arguments& arguments, Connection& connection) {
  AccountWatch watch(arguments.names);
  AccountPrinter printer(arguments.output, true, true);
  base::Backoff backoff({base::milliseconds(500), base::seconds(15)},
                        static_cast<uint64_t>(getpid()));
  bool ever = false;
  while (true) {
    watch.OnStart();
    const absl::Status ended =
        connection.Stream("/v1/accounts?watch=true", [&](std::string_view bytes) -> absl::Status {
          const bool was_synced = watch.synced();
          FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<AccountChange> changes, watch.OnBytes(bytes));
          if (changes.empty() && watch.synced() == was_synced) return absl::OkStatus();
          return Print(printer.Print(changes));
        });
    if (watch.synced()) {
      ever = true;
      backoff.Reset();
    }
    if (!ever || !Passes(ended)) return base::WithContext(ended, "accounts");
    const base::Duration pause = backoff.Next();
    std::fprintf(stderr, "fairleadctl: accounts: %s; again in %lld ms\n",
                 std::string(base::View(ended.message())).c_str(),
                 static_cast<long long>(base::AgeMs(pause)));
    std::this_thread::sleep_for(pause);
  }
}

std::string ObjectsPath(const ObjectFlags& flags, int64_t limit, const std::string& token) {
  std::string path = StrCat("/v1/objects?limit=", limit);
  const auto add = [&path](const char* key, const std::string& value) {
    if (!value.empty()) path += StrCat("&", key, "=", net::PercentEncode(value));
  };
  add("account", flags.account);
  add("kind", flags.kind);
  if (flags.group) path += StrCat("&group=", net::PercentEncode(*flags.group));
  add("namespace", flags.name_space);
  add("name", flags.name);
  add("application", flags.application);
  add("continue", token);
  if (flags.bodies) path += "&body=true";
  return path;
}

// The names of accounts by uid. Who may read objects may read accounts.
absl::StatusOr<std::map<std::string, std::string>> AccountNames(Connection& connection) {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<Json::Value> accounts, ListAccounts(connection));
  std::map<std::string, std::string> names;
  for (const Json::Value& one : accounts) names[TextOf(one, "uid")] = TextOf(one, "name");
  return names;
}

// FailedPrecondition: it answers, and says what is missing.
absl::Status ReadyStatus(Connection& connection) {
  const auto answer = connection.GetText("/readyz");
  if (!answer.ok()) return answer.status();
  if (answer->ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat("not ready: ", kube::Printable(answer->body)));
}

absl::StatusOr<std::vector<Json::Value>> AccountsOf(const std::vector<std::string>& names,
                                                    Connection& connection) {
  if (names.empty()) return ListAccounts(connection);
  std::vector<Json::Value> accounts;
  for (const std::string& name : names) {
    FAIRLEAD_ASSIGN_OR_RETURN(Json::Value one, GetAccount(connection, name));
    accounts.push_back(std::move(one));
  }
  return accounts;
}

std::string FreshnessPath(const std::string& name) {
  return StrCat("/v1/accounts/", net::PercentEncode(name), "/freshness");
}

// Has something done about an account, or about one kind of it.
absl::StatusOr<Json::Value> Act(const Arguments& arguments, const std::string& action,
                                Connection& connection) {
  const std::string& name = arguments.names.at(0);
  FAIRLEAD_RETURN_IF_ERROR(GetAccount(connection, name).status());
  std::string path = StrCat("/v1/accounts/", net::PercentEncode(name), "/", action);
  char separator = '?';
  if (!arguments.objects.kind.empty()) {
    path += StrCat("?kind=", net::PercentEncode(arguments.objects.kind));
    separator = '&';
  }
  if (arguments.objects.group) {
    path += StrCat(separator, "group=", net::PercentEncode(*arguments.objects.group));
  }
  auto answer = connection.PostJson(path);
  if (!answer.ok()) return base::WithContext(answer.status(), StrCat(action, " ", name));
  return answer;
}

}  // namespace

absl::StatusOr<int> RunAccounts(const Arguments& arguments, Connection& connection) {
  if (arguments.watch) return WatchAccounts(arguments, connection);
  auto accounts = AccountsOf(arguments.names, connection);
  if (!accounts.ok()) return accounts.status();
  std::vector<AccountChange> rows;
  for (Json::Value& one : *accounts) {
    std::string name = TextOf(one, "name");
    rows.push_back({std::move(name), false, std::move(one)});
  }
  AccountPrinter printer(arguments.output, false, arguments.names.size() != 1);
  FAIRLEAD_RETURN_IF_ERROR(Print(printer.Print(rows)));
  return 0;
}

absl::StatusOr<int> RunObjects(const Arguments& arguments, Connection& connection) {
  constexpr int64_t kPage = 500;
  constexpr int64_t kPageWithBodies = 20;  // of 1.5 MB at most: well within the longest answer
  const ObjectFlags& flags = arguments.objects;
  std::map<std::string, std::string> names;
  if (arguments.output == Output::kTable) {
    FAIRLEAD_ASSIGN_OR_RETURN(names, AccountNames(connection));
  }
  ObjectPrinter printer(arguments.output, std::move(names));
  int64_t left = flags.limit == 0 ? INT64_MAX : flags.limit;
  std::string token;
  do {
    const int64_t page = std::min(left, flags.bodies ? kPageWithBodies : kPage);
    auto body = connection.GetJson(ObjectsPath(flags, page, token));
    if (absl::IsNotFound(body.status()) && !flags.account.empty()) {
      return NoSuchAccount(connection, flags.account);
    }
    if (!body.ok()) return base::WithContext(body.status(), "objects");
    const Json::Value& objects = (*body)["objects"];
    if (!objects.isArray()) return absl::UnavailableError("objects: the answer has no objects");
    FAIRLEAD_RETURN_IF_ERROR(Print(printer.Page(objects)));
    left -= objects.size();
    token = TextOf(*body, "continue");
  } while (!token.empty() && left > 0);
  FAIRLEAD_RETURN_IF_ERROR(Print(printer.Finish()));
  return 0;
}

absl::StatusOr<int> RunFreshness(const Arguments& arguments, Connection& connection) {
  FAIRLEAD_ASSIGN_OR_RETURN(const std::vector<Json::Value> accounts,
                            AccountsOf(arguments.names, connection));
  std::vector<std::pair<std::string, Json::Value>> answers;
  for (const Json::Value& account : accounts) {
    const std::string name = TextOf(account, "name");
    auto answer = connection.GetJson(FreshnessPath(name));
    if (absl::IsNotFound(answer.status())) continue;  // deleted while we look
    if (!answer.ok()) return base::WithContext(answer.status(), "freshness");
    answers.emplace_back(name, *std::move(answer));
  }
  FAIRLEAD_RETURN_IF_ERROR(Print(RenderFreshness(answers, arguments.output)));
  return 0;
}

absl::StatusOr<int> RunAudit(const Arguments& arguments, Connection& connection) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value answer, Act(arguments, "audit", connection));
  (void)answer;
  FAIRLEAD_RETURN_IF_ERROR(Print("ordered; `freshness` shows when it was proven\n"));
  return 0;
}

absl::StatusOr<int> RunConfirmDeletes(const Arguments& arguments, Connection& connection) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Json::Value answer,
                            Act(arguments, "confirm-deletes", connection));
  FAIRLEAD_RETURN_IF_ERROR(Print(
      StrCat(answer["deleted"].isInt64() ? answer["deleted"].asInt64() : 0, " rows deleted\n")));
  return 0;
}

absl::StatusOr<int> RunStatus(const Arguments& arguments, Connection& connection) {
  StatusInput input;
  input.url = connection.url();
  input.max_age = arguments.max_age;
  input.ready = ReadyStatus(connection);
  // An endpoint that does not answer is not asked again: one problem, said once.
  if (!Passes(input.ready)) {
    auto accounts = AccountsOf(arguments.names, connection);
    input.accounts_read = accounts.status();
    if (accounts.ok()) input.accounts = *std::move(accounts);
  }
  for (const Json::Value& account : input.accounts) {
    const std::string name = TextOf(account, "name");
    auto answer = connection.GetJson(FreshnessPath(name));
    if (absl::IsNotFound(answer.status())) continue;  // deleted while we look
    StatusInput::Freshness& one = input.freshness[name];
    one.read = answer.status();
    if (answer.ok()) one.answer = *std::move(answer);
  }
  const StatusReport report = Assess(input);
  FAIRLEAD_RETURN_IF_ERROR(Print(RenderReport(report, arguments.output)));
  return report.healthy() ? 0 : 1;
}

}  // namespace fairlead::cli
