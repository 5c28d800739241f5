#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fairlead::base {

// Reads a YAML configuration file strictly: each key is asked for once by name and type, and
// Finish() reports the first problem with its path: a wrong type, a value out of bounds, a missing
// required key, or a key nobody asked for ("limits.pendingByte: unknown key; did you mean
// \"pendingBytes\"?").
//
// Reading goes on after an error with the default, so that the code that reads has no branches.
// Children made by Map() and Maps() share the error state; call Finish() on the root, once, last.
// Documents are limited to 1 MiB. Not thread-safe.
class ConfigReader {
 public:
  // `source` names the file in errors.
  static absl::StatusOr<ConfigReader> Parse(std::string_view yaml, std::string_view source);

  std::string String(std::string_view key, std::string_view fallback = "");
  // Missing or empty is an error.
  std::string RequiredString(std::string_view key);
  int64_t Int(std::string_view key, int64_t fallback, int64_t least, int64_t most);
  bool Bool(std::string_view key, bool fallback);
  std::vector<std::string> Strings(std::string_view key);
  bool Has(std::string_view key);
  // An absent map reads as an empty one.
  ConfigReader Map(std::string_view key);
  std::vector<ConfigReader> Maps(std::string_view key);
  // Keys in the document's order, each counted as asked for: for maps whose keys are names.
  std::vector<std::string> Keys();

  // Reports `problem` at `key` of this map, as the reader itself would.
  void Fail(std::string_view key, std::string_view problem);
  absl::Status Finish();

 private:
  struct Document;
  struct Node;
  ConfigReader(std::shared_ptr<Document> document, std::shared_ptr<Node> node);
  std::shared_ptr<Document> document_;
  std::shared_ptr<Node> node_;
};

// The whole file as a string; the error names the file and the system's reason.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = 1 << 20);

}  // namespace fairlead::base
