#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"

namespace fairlead::cli {

enum class Verb {
  kHelp,
  kVersion,
  kAccounts,
  kConfirmDeletes,  // `accounts confirm-deletes NAME`
  kObjects,
  kFreshness,
  kAudit,
  kStatus
};
enum class Output { kTable, kJson, kYaml };

// Where the endpoint is and who we are, as far as the command line says it; "" = not said.
struct ConnectionFlags {
  std::string endpoint;
  std::string ca_file;
  std::string token_file;
  std::string certificate_file;
  std::string key_file;
  std::string config_file;
};

// Also the kind of audit and confirm-deletes.
struct ObjectFlags {
  std::string account;
  std::string kind;
  std::optional<std::string> group;  // "" is the core group
  std::string name_space;
  std::string name;
  std::string application;
  int64_t limit = 0;  // rows in all; 0 = every row
  bool bodies = false;
};

struct Arguments {
  Verb verb = Verb::kHelp;
  std::string help_text;           // of kHelp
  std::vector<std::string> names;  // of accounts, behind the verb
  Output output = Output::kTable;
  bool watch = false;
  base::Duration max_age = base::minutes(5);  // of status: a watch older than this is a problem
  ConnectionFlags connection;
  ObjectFlags objects;
};

// How the program is called, from argv[0]: kubectl runs kubectl-fairlead as `kubectl fairlead`.
std::string ProgramName(std::string_view argv0);

// Reads a command line without argv[0]. `program` is only for texts. InvalidArgument names the
// word that is wrong and the nearest valid one. Pure.
absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                         std::string_view program);

}  // namespace fairlead::cli
