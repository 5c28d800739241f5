#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cli/arguments.h"

namespace fairlead::cli {

// How to reach the endpoint and who we are: the command line over ctl.yaml
// (docs/reference/fairleadctl.md).
struct Settings {
  std::string endpoint;  // https://host:port, without a '/' at the end
  std::string ca_file;
  std::string token_file;
  std::string certificate_file;
  std::string key_file;
  int64_t timeout_seconds = 10;  // of one request
};

// Reads ctl.yaml. Relative file names are relative to `directory`, the file's own. Errors name the
// key, and for an unknown key the nearest valid one. Pure.
absl::StatusOr<Settings> ParseSettings(std::string_view yaml, std::string_view source,
                                       std::string_view directory);

// What the flags say wins. A credential (token, or certificate and key) of the command line
// replaces all of the file's: with two, the endpoint would choose. Pure.
absl::StatusOr<Settings> Merge(Settings file, const ConnectionFlags& flags);

// Both, with the file that flags and environment name: --config, $FAIRLEADCTL_CONFIG, else
// ~/.config/fairlead/ctl.yaml, which need not exist.
absl::StatusOr<Settings> LoadSettings(const ConnectionFlags& flags);

}  // namespace fairlead::cli
