#pragma once

#include <string>
#include <string_view>

// Strings of JSON as written on the wire (RFC 8259 section 7).
namespace fairlead::json {

inline bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Whether each backslash begins a legal escape and surrogates come in pairs. `text` may be a whole
// JSON text, as a backslash is only legal inside strings; it must not begin or end inside an
// escape.
bool EscapesAreValid(std::string_view text);

// What a string between its quotes means, as UTF-8. False for a bad escape or a lone surrogate.
bool DecodeString(std::string_view raw, std::string* out);

// The same without a copy when there is nothing to decode; `scratch` keeps the copy otherwise.
inline bool ReadString(std::string_view raw, std::string* scratch, std::string_view* out) {
  if (raw.find('\\') == std::string_view::npos) {
    *out = raw;
    return true;
  }
  if (!DecodeString(raw, scratch)) return false;
  *out = *scratch;
  return true;
}

}  // namespace fairlead::json
