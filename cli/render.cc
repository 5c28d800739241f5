#include "cli/render.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "lib/base/strings.h"
#include "lib/kube/printable.h"

namespace fairlead::cli {
namespace {

using base::StrCat;

// A JSON string; what a terminal would act on (C0, DEL, and C1, which is C2 80..9F in UTF-8) is
// escaped. The text is UTF-8, as json::ParseJson has checked.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    unsigned escaped = byte < 0x20 || byte == 0x7F ? byte : 0x100;
    if (byte == 0xC2 && next < 0xA0) {
      escaped = next;
      ++i;
    }
    if (byte == '"' || byte == '\\') {
      out += {'\\', text[i]};
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (escaped < 0x100) {
      std::array<char, 8> buffer{};
      std::snprintf(buffer.data(), buffer.size(), "\\u%04x", escaped);
      out += buffer.data();
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

std::string NumberText(const Json::Value& value) {
  if (value.isInt64()) return std::to_string(value.asInt64());
  if (value.isUInt64()) return std::to_string(value.asUInt64());
  std::array<char, 64> buffer{};  // the shortest spelling that reads as the same number
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value.asDouble()).ptr;
  return {buffer.data(), end};
}

bool IsScalar(const Json::Value& value) {
  return (!value.isObject() && !value.isArray()) || value.empty();
}

std::string JsonScalar(const Json::Value& value) {
  if (value.isString()) return Quoted(value.asString());
  if (value.isBool()) return value.asBool() ? "true" : "false";
  if (value.isNumeric()) return NumberText(value);
  if (value.isObject()) return "{}";
  return value.isArray() ? "[]" : "null";
}

bool PlainInYaml(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || (!letter(text[0]) && text[0] != '/')) return false;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!letter(c) && !digit && c != '_' && c != '-' && c != '.' && c != '/') return false;
  }
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const char* word : {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}) {
    if (lower == word) return false;
  }
  return true;
}

std::string YamlString(std::string_view text) {
  return PlainInYaml(text) ? std::string(text) : Quoted(text);
}

std::string YamlScalar(const Json::Value& value) {
  return value.isString() ? YamlString(value.asString()) : JsonScalar(value);
}

// `indent` -1: all on one line.
void AppendJson(const Json::Value& value, int indent, std::string* out) {
  if (IsScalar(value)) {
    *out += JsonScalar(value);
    return;
  }
  const bool lines = indent >= 0;
  const int inner = lines ? indent + 2 : indent;
  const auto new_line = [&](int spaces) {
    if (lines) *out += "\n" + std::string(static_cast<size_t>(spaces), ' ');
  };
  *out += value.isArray() ? "[" : "{";
  bool first = true;
  const auto next = [&] {
    if (!std::exchange(first, false)) *out += ',';
    new_line(inner);
  };
  if (value.isArray()) {
    for (const Json::Value& one : value) {
      next();
      AppendJson(one, inner, out);
    }
  } else {
    for (const std::string& key : value.getMemberNames()) {
      next();
      *out += StrCat(Quoted(key), lines ? ": " : ":");
      AppendJson(value[key], inner, out);
    }
  }
  new_line(indent);
  *out += value.isArray() ? "]" : "}";
}

// `begun`: the first line stands already, up to "- ".
void AppendYaml(const Json::Value& value, int indent, bool begun, std::string* out) {
  if (IsScalar(value)) {
    *out += StrCat(YamlScalar(value), "\n");
    return;
  }
  const auto next = [&] {
    if (!std::exchange(begun, false)) out->append(static_cast<size_t>(indent), ' ');
  };
  if (value.isArray()) {
    for (const Json::Value& one : value) {
      next();
      *out += "- ";
      AppendYaml(one, indent + 2, true, out);
    }
    return;
  }
  for (const std::string& key : value.getMemberNames()) {
    const Json::Value& one = value[key];
    next();
    *out += StrCat(YamlString(key), IsScalar(one) ? ": " : ":\n");
    AppendYaml(one, one.isArray() ? indent : indent + 2, false, out);
  }
}

size_t Width(std::string_view text) {  // of UTF-8, a column a character
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string ToJson(const Json::Value& value, int indent) {
  std::string out;
  AppendJson(value, indent, &out);
  return out;
}

std::string ToJsonLine(const Json::Value& value) { return ToJson(value, -1); }

std::string ToYaml(const Json::Value& value, int indent) {
  std::string out;
  AppendYaml(value, indent, false, &out);
  return out;
}

std::string AgeText(int64_t ms) {
  if (ms < 0) return "never";
  if (ms < 1000) return StrCat(ms, "ms");
  const int64_t s = ms / 1000;
  const auto two = [](int64_t large, const char* unit, int64_t small, const char* small_unit) {
    return small == 0 ? StrCat(large, unit) : StrCat(large, unit, small, small_unit);
  };
  if (s < 60) return StrCat(s, "s");
  if (s < 3600) return two(s / 60, "m", s % 60, "s");
  if (s < 86400) return two(s / 3600, "h", s / 60 % 60, "m");
  return two(s / 86400, "d", s / 3600 % 24, "h");
}

Table::Table(const std::vector<std::string>& headings) : widths_(headings.size()) { Add(headings); }

void Table::Add(const std::vector<std::string>& cells) {
  constexpr size_t kMostBytes = 120;
  std::vector<std::string> row(widths_.size(), "-");
  for (size_t i = 0; i < row.size() && i < cells.size(); ++i) {
    if (!cells[i].empty()) row[i] = kube::Printable(cells[i], kMostBytes);
    widths_[i] = std::max(widths_[i], Width(row[i]));
  }
  rows_.push_back(std::move(row));
}

std::string Table::Flush() {
  std::string out;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths_[i] + 2 - Width(row[i]), ' ');
    }
    out += '\n';
  }
  rows_.clear();
  return out;
}

}  // namespace fairlead::cli
