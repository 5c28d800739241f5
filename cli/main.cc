// fairleadctl, also `kubectl fairlead`: asks an endpoint what it knows, and has it proven.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/settings.h"
#include "lib/base/strings.h"
#include "lib/base/version.h"

namespace fairlead::cli {
namespace {

constexpr int kWrong = 1;
constexpr int kUsage = 2;

int Complain(const absl::Status& status, int code) {
  std::fprintf(stderr, "fairleadctl: %s\n", std::string(base::View(status.message())).c_str());
  return code;
}

absl::StatusOr<int> RunVerb(const Arguments& arguments, Connection& connection) {
  switch (arguments.verb) {
    case Verb::kAccounts:
      return RunAccounts(arguments, connection);
    case Verb::kConfirmDeletes:
      return RunConfirmDeletes(arguments, connection);
    case Verb::kObjects:
      return RunObjects(arguments, connection);
    case Verb::kFreshness:
      return RunFreshness(arguments, connection);
    case Verb::kAudit:
      return RunAudit(arguments, connection);
    case Verb::kStatus:
      return RunStatus(arguments, connection);
    case Verb::kHelp:
    case Verb::kVersion:
      break;
  }
  return 0;
}

}  // namespace

int Main(int argc, char** argv) {
  const std::string program = ProgramName(argc > 0 ? argv[0] : "");
  const auto arguments =
      ParseArguments(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), program);
  if (!arguments.ok()) return Complain(arguments.status(), kUsage);
  if (arguments->verb == Verb::kHelp) {
    return std::fputs(arguments->help_text.c_str(), stdout) < 0 ? kWrong : 0;
  }
  if (arguments->verb == Verb::kVersion) return std::printf("fairleadctl %s\n", base::kVersion) < 0;
  const auto settings = LoadSettings(arguments->connection);
  if (!settings.ok()) return Complain(settings.status(), kUsage);
  const auto connection = Connection::Open(*settings);
  if (!connection.ok()) return Complain(connection.status(), kUsage);
  const auto code = RunVerb(*arguments, **connection);
  return code.ok() ? *code : Complain(code.status(), kWrong);
}

}  // namespace fairlead::cli

int main(int argc, char** argv) { return fairlead::cli::Main(argc, argv); }
