#include "lib/json/dom.h"

#include <json/reader.h>
#include <json/writer.h>

#include <exception>
#include <memory>

#include "lib/base/status.h"
#include "lib/json/walker.h"

namespace fairlead::json {
namespace {

Json::CharReaderBuilder StrictReader() {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["strictRoot"] = false;
  builder["collectComments"] = false;
  builder["skipBom"] = false;
  // jsoncpp counts the scalar at the bottom as a level.
  builder["stackLimit"] = static_cast<int>(TokenWalker::kMaxDepth) + 1;
  return builder;
}

}  // namespace

absl::StatusOr<Json::Value> ParseJson(std::string_view text, const ParseOptions& options) {
  if (text.size() > options.max_bytes) {
    return absl::ResourceExhaustedError(
        base::StrCat("JSON: ", text.size(), " bytes, more than ", options.max_bytes));
  }
  // jsoncpp alone lets bad UTF-8, control bytes and odd numbers pass, and throws when nested too
  // deep.
  StructuralIndex index;
  FAIRLEAD_RETURN_IF_ERROR(CheckJson(text, &index, options.max_depth));
  try {
    const std::unique_ptr<Json::CharReader> reader(StrictReader().newCharReader());
    Json::Value value;
    std::string errors;  // quotes the text, so it is not passed on
    if (!reader->parse(text.data(), text.data() + text.size(), &value, &errors)) {
      return absl::InvalidArgumentError(
          errors.find("Duplicate key") != std::string::npos
              ? "JSON: a key stands twice in one object"
              : "JSON: refused (a number out of range or an escape that is not a character)");
    }
    return value;
  } catch (const std::exception&) {
    return absl::InvalidArgumentError("JSON: refused");
  }
}

std::string WriteJson(const Json::Value& value) {
  try {
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "";
    builder["commentStyle"] = "None";
    builder["emitUTF8"] = true;
    builder["precision"] = 17;
    return Json::writeString(builder, value);
  } catch (const std::exception&) {
    return "null";
  }
}

}  // namespace fairlead::json
