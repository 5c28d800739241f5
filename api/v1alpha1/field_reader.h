#pragma once

#include <json/value.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace fairlead::api {

// Reads members of a JSON object by type and remembers the first problem with its path. Reading
// goes on after it, so that the code that reads has no branches. For .cc files of api/.
class FieldReader {
 public:
  FieldReader(const Json::Value& value, std::string path);

  [[nodiscard]] bool Has(const char* key) const;
  std::string String(const char* key, const std::string& fallback = "");
  std::string RequiredString(const char* key);
  // One of `allowed`; `fallback` "" = required.
  std::string OneOf(const char* key, const std::vector<std::string>& allowed,
                    const std::string& fallback);
  int64_t Int(const char* key, int64_t fallback, int64_t least, int64_t most);
  bool Bool(const char* key, bool fallback);
  std::vector<std::string> Strings(const char* key);
  std::map<std::string, std::string> StringMap(const char* key);
  FieldReader Object(const char* key);
  std::vector<FieldReader> Objects(const char* key);
  // The member's own JSON, or "".
  std::string Raw(const char* key);

  void Fail(const std::string& key, const std::string& problem);
  // Of this reader and all made from it.
  [[nodiscard]] const absl::Status& status() const { return *status_; }

 private:
  FieldReader(const Json::Value& value, std::string path, std::shared_ptr<absl::Status> status);
  const Json::Value* Find(const char* key) const;
  [[nodiscard]] std::string PathOf(const std::string& key) const;

  const Json::Value* value_;
  std::string path_;
  std::shared_ptr<absl::Status> status_;
};

}  // namespace fairlead::api
