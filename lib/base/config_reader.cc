#include "lib/base/config_reader.h"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <set>

#include "absl/strings/numbers.h"
#include "lib/base/strings.h"
#include "lib/base/suggest.h"

namespace fairlead::base {

struct ConfigReader::Node {
  YAML::Node yaml;
  std::string path;
  std::vector<std::string> asked;
};

struct ConfigReader::Document {
  std::string source;
  absl::Status first_error;
  std::vector<std::shared_ptr<Node>> nodes;

  void Fail(std::string_view path, std::string_view problem) {
    if (first_error.ok()) {
      first_error = absl::InvalidArgumentError(StrCat(source, ": ", path, ": ", problem));
    }
  }
};

namespace {

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : StrCat(path, ".", key);
}

}  // namespace

ConfigReader::ConfigReader(std::shared_ptr<Document> document, std::shared_ptr<Node> node)
    : document_(std::move(document)), node_(std::move(node)) {
  document_->nodes.push_back(node_);
}

absl::StatusOr<ConfigReader> ConfigReader::Parse(std::string_view yaml, std::string_view source) {
  constexpr size_t kMaxBytes = 1 << 20;
  if (yaml.size() > kMaxBytes) {
    return absl::InvalidArgumentError(StrCat(source, ": larger than ", kMaxBytes, " bytes"));
  }
  auto document = std::make_shared<Document>();
  document->source = std::string(source);
  auto node = std::make_shared<Node>();
  try {
    node->yaml = YAML::Load(std::string(yaml));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        StrCat(source, ": line ", error.mark.line + 1, ": ", error.msg));
  }
  if (!node->yaml.IsNull() && !node->yaml.IsMap()) {
    return absl::InvalidArgumentError(StrCat(source, ": must be a map of keys"));
  }
  return ConfigReader(std::move(document), std::move(node));
}

void ConfigReader::Fail(std::string_view key, std::string_view problem) {
  document_->Fail(Join(node_->path, key), problem);
}

bool ConfigReader::Has(std::string_view key) {
  node_->asked.emplace_back(key);
  return node_->yaml.IsMap() && node_->yaml[std::string(key)].IsDefined();
}

std::string ConfigReader::String(std::string_view key, std::string_view fallback) {
  if (!Has(key)) return std::string(fallback);
  const YAML::Node value = node_->yaml[std::string(key)];
  if (!value.IsScalar()) {
    Fail(key, "must be a string");
    return std::string(fallback);
  }
  return value.Scalar();
}

std::string ConfigReader::RequiredString(std::string_view key) {
  std::string value = String(key);
  if (value.empty()) Fail(key, "is required");
  return value;
}

int64_t ConfigReader::Int(std::string_view key, int64_t fallback, int64_t least, int64_t most) {
  if (!Has(key)) return fallback;
  const YAML::Node value = node_->yaml[std::string(key)];
  int64_t number = 0;
  if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &number) || number < least ||
      number > most) {
    Fail(key, StrCat("must be a whole number from ", least, " to ", most));
    return fallback;
  }
  return number;
}

bool ConfigReader::Bool(std::string_view key, bool fallback) {
  if (!Has(key)) return fallback;
  const YAML::Node value = node_->yaml[std::string(key)];
  if (value.IsScalar() && value.Scalar() == "true") return true;
  if (value.IsScalar() && value.Scalar() == "false") return false;
  Fail(key, "must be true or false");
  return fallback;
}

std::vector<std::string> ConfigReader::Strings(std::string_view key) {
  std::vector<std::string> out;
  if (!Has(key)) return out;
  const YAML::Node value = node_->yaml[std::string(key)];
  if (!value.IsSequence()) {
    Fail(key, "must be a list of strings");
    return out;
  }
  for (const YAML::Node& item : value) {
    if (!item.IsScalar()) {
      Fail(key, "must be a list of strings");
      return {};
    }
    out.push_back(item.Scalar());
  }
  return out;
}

ConfigReader ConfigReader::Map(std::string_view key) {
  auto node = std::make_shared<Node>();
  node->path = Join(node_->path, key);
  if (Has(key)) {
    const YAML::Node value = node_->yaml[std::string(key)];
    if (value.IsMap()) {
      node->yaml = value;
    } else if (!value.IsNull()) {
      Fail(key, "must be a map of keys");
    }
  }
  return {document_, std::move(node)};
}

std::vector<ConfigReader> ConfigReader::Maps(std::string_view key) {
  std::vector<ConfigReader> out;
  if (!Has(key)) return out;
  const YAML::Node value = node_->yaml[std::string(key)];
  if (!value.IsSequence()) {
    Fail(key, "must be a list");
    return out;
  }
  for (size_t i = 0; i < value.size(); ++i) {
    auto node = std::make_shared<Node>();
    node->path = StrCat(Join(node_->path, key), "[", i, "]");
    if (value[i].IsMap()) {
      node->yaml = value[i];
    } else {
      document_->Fail(node->path, "must be a map of keys");
    }
    out.push_back(ConfigReader(document_, std::move(node)));
  }
  return out;
}

std::vector<std::string> ConfigReader::Keys() {
  std::vector<std::string> out;
  if (!node_->yaml.IsMap()) return out;
  for (const auto& item : node_->yaml) {
    if (item.first.IsScalar()) out.push_back(item.first.Scalar());
  }
  node_->asked.insert(node_->asked.end(), out.begin(), out.end());
  return out;
}

absl::Status ConfigReader::Finish() {
  for (const auto& node : document_->nodes) {
    if (!node->yaml.IsMap()) continue;
    const std::set<std::string> asked(node->asked.begin(), node->asked.end());
    std::set<std::string> seen;
    for (const auto& item : node->yaml) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : "(not a string)";
      if (!seen.insert(key).second) document_->Fail(Join(node->path, key), "is there twice");
      if (asked.contains(key)) continue;
      const std::string nearest = Nearest(key, {asked.begin(), asked.end()});
      document_->Fail(Join(node->path, key),
                      nearest.empty() ? std::string("unknown key")
                                      : StrCat("unknown key; did you mean \"", nearest, "\"?"));
    }
  }
  return document_->first_error;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) {
    const int error = errno;
    const auto code =
        error == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable;
    return absl::Status(code, StrCat("cannot open ", path, ": ", std::strerror(error)));
  }
  std::string text;
  char buffer[16384];
  size_t got = 0;
  while ((got = std::fread(buffer, 1, sizeof buffer, file.get())) > 0) {
    text.append(buffer, got);
    if (text.size() > max_bytes) {
      return absl::ResourceExhaustedError(StrCat(path, ": larger than ", max_bytes, " bytes"));
    }
  }
  if (std::ferror(file.get()) != 0) {
    return absl::UnavailableError(StrCat("cannot read ", path));
  }
  return text;
}

}  // namespace fairlead::base
