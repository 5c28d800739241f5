#include "api/v1alpha1/field_reader.h"

#include <json/writer.h>

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::api {

using base::StrCat;

namespace {
const Json::Value& Empty() {
  static const Json::Value empty(Json::objectValue);
  return empty;
}
}  // namespace

FieldReader::FieldReader(const Json::Value& value, std::string path)
    : FieldReader(value, std::move(path), std::make_shared<absl::Status>()) {}

FieldReader::FieldReader(const Json::Value& value, std::string path,
                         std::shared_ptr<absl::Status> status)
    : value_(value.isObject() ? &value : &Empty()),
      path_(std::move(path)),
      status_(std::move(status)) {}

const Json::Value* FieldReader::Find(const char* key) const {
  const Json::Value* found = value_->find(key, key + std::char_traits<char>::length(key));
  return found == nullptr || found->isNull() ? nullptr : found;
}

std::string FieldReader::PathOf(const std::string& key) const {
  return path_.empty() ? key : StrCat(path_, ".", key);
}

bool FieldReader::Has(const char* key) const { return Find(key) != nullptr; }

void FieldReader::Fail(const std::string& key, const std::string& problem) {
  if (status_->ok()) *status_ = absl::InvalidArgumentError(StrCat(PathOf(key), ": ", problem));
}

std::string FieldReader::String(const char* key, const std::string& fallback) {
  const Json::Value* found = Find(key);
  if (found == nullptr) return fallback;
  if (!found->isString()) {
    Fail(key, "must be a string");
    return fallback;
  }
  return found->asString();
}

std::string FieldReader::RequiredString(const char* key) {
  std::string text = String(key);
  if (text.empty()) Fail(key, "is required");
  return text;
}

std::string FieldReader::OneOf(const char* key, const std::vector<std::string>& allowed,
                               const std::string& fallback) {
  std::string text = fallback.empty() ? RequiredString(key) : String(key, fallback);
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
    std::string list;
    for (const std::string& one : allowed) list += list.empty() ? one : StrCat(", ", one);
    Fail(key, StrCat("must be one of ", list));
  }
  return text;
}

int64_t FieldReader::Int(const char* key, int64_t fallback, int64_t least, int64_t most) {
  const Json::Value* found = Find(key);
  if (found == nullptr) return fallback;
  if (!found->isInt64() || found->asInt64() < least || found->asInt64() > most) {
    Fail(key, StrCat("must be an integer from ", least, " to ", most));
    return fallback;
  }
  return found->asInt64();
}

bool FieldReader::Bool(const char* key, bool fallback) {
  const Json::Value* found = Find(key);
  if (found == nullptr) return fallback;
  if (!found->isBool()) {
    Fail(key, "must be true or false");
    return fallback;
  }
  return found->asBool();
}

std::vector<std::string> FieldReader::Strings(const char* key) {
  std::vector<std::string> out;
  const Json::Value* found = Find(key);
  if (found == nullptr) return out;
  if (!found->isArray()) {
    Fail(key, "must be a list");
    return out;
  }
  for (const Json::Value& one : *found) {
    if (!one.isString()) {
      Fail(key, "must be a list of strings");
      return {};
    }
    out.push_back(one.asString());
  }
  return out;
}

std::map<std::string, std::string> FieldReader::StringMap(const char* key) {
  std::map<std::string, std::string> out;
  const Json::Value* found = Find(key);
  if (found == nullptr || !found->isObject()) return out;
  for (const std::string& name : found->getMemberNames()) {
    if ((*found)[name].isString()) out[name] = (*found)[name].asString();
  }
  return out;
}

FieldReader FieldReader::Object(const char* key) {
  const Json::Value* found = Find(key);
  if (found != nullptr && !found->isObject()) Fail(key, "must be an object");
  return {found == nullptr ? Empty() : *found, PathOf(key), status_};
}

std::vector<FieldReader> FieldReader::Objects(const char* key) {
  std::vector<FieldReader> out;
  const Json::Value* found = Find(key);
  if (found == nullptr) return out;
  if (!found->isArray()) {
    Fail(key, "must be a list");
    return out;
  }
  for (Json::ArrayIndex i = 0; i < found->size(); ++i) {
    out.push_back(FieldReader((*found)[i], StrCat(PathOf(key), "[", i, "]"), status_));
  }
  return out;
}

std::string FieldReader::Raw(const char* key) {
  const Json::Value* found = Find(key);
  if (found == nullptr) return "";
  Json::StreamWriterBuilder compact;
  compact["indentation"] = "";
  return Json::writeString(compact, *found);
}

}  // namespace fairlead::api
