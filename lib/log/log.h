#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Structured logging, one JSON object a line on stderr: time, level, message, fields.
//   log::Info("account granted", {{"account", name}, {"term", term}});
// Thread-safe. Values are escaped; invalid UTF-8 becomes U+FFFD; a value is cut at 2 KiB.
// Secrets have a type of their own, so they cannot be written by accident.
namespace fairlead::log {

enum class Level { kDebug, kInfo, kWarn, kError };

// Wraps a secret so that logging it writes "[redacted]".
class Secret {
 public:
  explicit Secret(std::string value) : value_(std::move(value)) {}
  [[nodiscard]] const std::string& Reveal() const { return value_; }

 private:
  std::string value_;
};

class Field {
 public:
  Field(std::string_view key, std::string_view value);
  Field(std::string_view key, const char* value) : Field(key, std::string_view(value)) {}
  Field(std::string_view key, const std::string& value) : Field(key, std::string_view(value)) {}
  Field(std::string_view key, const absl::Status& value);
  Field(std::string_view key, const Secret& value);
  Field(std::string_view key, bool value);
  Field(std::string_view key, double value);
  template <typename Integer>
  requires std::is_integral_v<Integer> Field(std::string_view key, Integer value)
      : key_(key), json_(std::to_string(value)) {}

  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] const std::string& json() const { return json_; }

 private:
  std::string_view key_;
  std::string json_;  // the value, encoded
};

using Fields = std::initializer_list<Field>;

// "debug", "info", "warn", "error"; false for anything else.
bool SetLevel(std::string_view name);
void Write(Level level, std::string_view message, Fields fields);
[[nodiscard]] bool Enabled(Level level);

inline void Debug(std::string_view message, Fields fields = {}) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, message, fields);
}
inline void Info(std::string_view message, Fields fields = {}) {
  Write(Level::kInfo, message, fields);
}
inline void Warn(std::string_view message, Fields fields = {}) {
  Write(Level::kWarn, message, fields);
}
inline void Error(std::string_view message, Fields fields = {}) {
  Write(Level::kError, message, fields);
}

// Text as a JSON string, quotes included; invalid UTF-8 is replaced.
std::string JsonString(std::string_view text);

}  // namespace fairlead::log
