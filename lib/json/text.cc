#include "lib/json/text.h"

#include <cstdint>

namespace fairlead::json {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool ReadUnit(std::string_view text, uint32_t* unit) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return false;
  *unit = 0;
  for (int i = 2; i < 6; ++i) {
    const int digit = HexDigit(text[i]);
    if (digit < 0) return false;
    *unit = *unit << 4 | static_cast<uint32_t>(digit);
  }
  return true;
}

char Simple(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

// Bytes of the escape at the start of `text` and its code point; 0 when it is not legal.
size_t ReadEscape(std::string_view text, uint32_t* code) {
  if (text.size() < 2) return 0;
  if (const char c = Simple(text[1]); c != '\0') {
    *code = static_cast<unsigned char>(c);
    return 2;
  }
  if (!ReadUnit(text, code)) return 0;
  if (*code < 0xD800 || *code > 0xDFFF) return 6;
  uint32_t low = 0;
  if (*code > 0xDBFF || !ReadUnit(text.substr(6), &low) || low < 0xDC00 || low > 0xDFFF) return 0;
  *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
  return 12;
}

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  *out += static_cast<char>(kLead[more] | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) *out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
}

}  // namespace

bool EscapesAreValid(std::string_view text) {
  uint32_t code = 0;
  for (size_t at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at)) {
    const size_t size = ReadEscape(text.substr(at), &code);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

bool DecodeString(std::string_view raw, std::string* out) {
  out->clear();
  for (size_t at = 0; at < raw.size();) {
    const size_t escape = raw.find('\\', at);
    out->append(raw.substr(at, escape - at));
    if (escape == std::string_view::npos) break;
    uint32_t code = 0;
    const size_t size = ReadEscape(raw.substr(escape), &code);
    if (size == 0) return false;
    AppendUtf8(code, out);
    at = escape + size;
  }
  return true;
}

}  // namespace fairlead::json
