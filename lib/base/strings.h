#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/string_view.h"

// Debian's abseil is built for C++14, so absl::string_view and std::string_view are two types and
// absl::StrCat does not take the latter. StrCat here takes both, and numbers.
namespace fairlead::base {

inline std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }
inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

namespace internal {

template <typename T>
void AppendPiece(std::string* out, const T& piece) {
  if constexpr (std::is_same_v<T, char>) {
    *out += piece;
  } else if constexpr (std::is_arithmetic_v<T>) {
    *out += std::to_string(piece);
  } else if constexpr (std::is_same_v<T, absl::string_view>) {
    out->append(piece.data(), piece.size());
  } else {
    *out += std::string_view(piece);
  }
}

}  // namespace internal

// The pieces (text, characters, numbers) one after the other.
template <typename... Pieces>
std::string StrCat(const Pieces&... pieces) {
  std::string out;
  (internal::AppendPiece(&out, pieces), ...);
  return out;
}

// UTF-8 `text` cut to at most `most` bytes between characters: half of one would be respelled by a
// server, never compare as equal, and be written again for ever.
inline std::string Clipped(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return std::string(text.substr(0, most));
}

}  // namespace fairlead::base
