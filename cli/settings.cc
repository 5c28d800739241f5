#include "cli/settings.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::cli {

using base::StrCat;

absl::StatusOr<Settings> ParseSettings(std::string_view yaml, std::string_view source,
                                       std::string_view directory) {
  FAIRLEAD_ASSIGN_OR_RETURN(base::ConfigReader root, base::ConfigReader::Parse(yaml, source));
  const auto file = [directory](std::string name) {
    if (name.empty() || name.starts_with('/')) return name;
    return StrCat(directory, "/", name);
  };
  Settings settings;
  settings.endpoint = root.String("endpoint");
  settings.ca_file = file(root.String("caFile"));
  settings.token_file = file(root.String("tokenFile"));
  settings.certificate_file = file(root.String("certificateFile"));
  settings.key_file = file(root.String("keyFile"));
  settings.timeout_seconds = root.Int("timeoutSeconds", settings.timeout_seconds, 1, 600);
  FAIRLEAD_RETURN_IF_ERROR(root.Finish());
  return settings;
}

absl::StatusOr<Settings> Merge(Settings file, const ConnectionFlags& flags) {
  Settings settings = std::move(file);
  if (!flags.endpoint.empty()) settings.endpoint = flags.endpoint;
  if (!flags.ca_file.empty()) settings.ca_file = flags.ca_file;
  if (!flags.token_file.empty() || !flags.certificate_file.empty() || !flags.key_file.empty()) {
    settings.token_file = flags.token_file;
    settings.certificate_file = flags.certificate_file;
    settings.key_file = flags.key_file;
  }
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  if (settings.endpoint.empty()) {
    return absl::InvalidArgumentError(
        "no endpoint is known; give --endpoint https://host:port, or write it as \"endpoint\" into "
        "~/.config/fairlead/ctl.yaml");
  }
  if (settings.endpoint.find("://") == std::string::npos) {
    return absl::InvalidArgumentError(StrCat("endpoint: \"", settings.endpoint,
                                             "\" is no URL; did you mean \"https://",
                                             settings.endpoint, "\"?"));
  }
  if (settings.certificate_file.empty() != settings.key_file.empty()) {
    return absl::InvalidArgumentError(
        settings.key_file.empty() ? "a certificate needs its key; give --key FILE as well"
                                  : "a key needs its certificate; give --cert FILE as well");
  }
  return settings;
}

absl::StatusOr<Settings> LoadSettings(const ConnectionFlags& flags) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
    return std::string(value == nullptr ? "" : value);
  };
  std::string path = flags.config_file.empty() ? variable("FAIRLEADCTL_CONFIG") : flags.config_file;
  const bool named = !path.empty();
  if (!named) path = StrCat(variable("HOME"), "/.config/fairlead/ctl.yaml");
  const auto text = base::ReadFile(path);
  if (!text.ok() && (named || !absl::IsNotFound(text.status()))) {
    return base::WithContext(text.status(), "configuration");
  }
  Settings settings;
  if (text.ok()) {
    const std::string directory = std::filesystem::path(path).parent_path().string();
    FAIRLEAD_ASSIGN_OR_RETURN(settings,
                              ParseSettings(*text, path, directory.empty() ? "." : directory));
  }
  return Merge(std::move(settings), flags);
}

}  // namespace fairlead::cli
