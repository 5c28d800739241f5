#include "lib/kube/printable.h"

namespace fairlead::kube {
namespace {

// Length of the UTF-8 character at the front of `text`, 0 when the bytes are not one.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = 0;
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) length = 2;
  if (byte(0) >= 0xE0 && byte(0) <= 0xEF) length = 3;
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Longer than needed, surrogates, beyond U+10FFFF.
  if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;
  if (byte(0) == 0xED && byte(1) >= 0xA0) return 0;
  if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xF4 && byte(1) >= 0x90) return 0;
  return length;
}

}  // namespace

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    std::string_view piece = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(piece.size());
    const auto first = static_cast<unsigned char>(piece[0]);
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(piece[1]) < 0xA0;
    if (first == '\n' || first == '\r' || first == '\t') {
      piece = " ";
    } else if (length == 0 || first < 0x20 || first == 0x7F || c1) {
      piece = "?";
    }
    if (piece == " " && !out.empty() && out.back() == ' ') continue;
    if (out.size() + piece.size() > max_bytes) return out + "...";
    out += piece;
  }
  return out;
}

}  // namespace fairlead::kube
