#include "lib/sql/postgres_text.h"

#include <cstdint>

#include "lib/base/strings.h"

namespace fairlead::sql {
namespace {

constexpr uint32_t kTextType = 25;  // its object id (pg_type.dat)

void AppendNumber(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) *out += static_cast<char>(value >> shift & 0xff);
}

}  // namespace

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

absl::StatusCode PostgresCodeOf(std::string_view state) {
  const std::string_view of_class = state.substr(0, 2);
  if (state == "53100" || state == "53200" || state == "53400")
    return absl::StatusCode::kResourceExhausted;
  if (of_class == "23") return absl::StatusCode::kAlreadyExists;
  if (of_class == "22" || of_class == "54") return absl::StatusCode::kOutOfRange;
  if (state == "XX001" || state == "XX002") return absl::StatusCode::kDataLoss;
  // Read only: a server that stopped being the primary; another connection may find the new one.
  if (of_class == "08" || of_class == "53" || of_class == "57" || of_class == "40" ||
      of_class == "55" || state == "25006" || state == "25P02" || state == "25P03" ||
      state.empty()) {
    return absl::StatusCode::kUnavailable;
  }
  if (of_class == "28" || of_class == "3D" || state == "42501")
    return absl::StatusCode::kFailedPrecondition;
  return absl::StatusCode::kInternal;
}

std::string Numbered(std::string_view sql, int* parameters) {
  std::string out;
  bool quoted = false;
  for (const char c : sql) {
    if (c == '\'') quoted = !quoted;
    if (c == '?' && !quoted) {
      out += base::StrCat("$", ++*parameters);
    } else {
      out += c;
    }
  }
  return out;
}

std::string TextArray(std::span<const TextPair> pairs, std::string_view TextPair::*part) {
  std::string out;
  const auto count = static_cast<uint32_t>(pairs.size());
  for (const uint32_t header : {uint32_t{1}, uint32_t{0}, kTextType, count, uint32_t{1}})
    AppendNumber(header, &out);
  for (const TextPair& pair : pairs) {
    AppendNumber(static_cast<uint32_t>((pair.*part).size()), &out);
    out += pair.*part;
  }
  return out;
}

}  // namespace fairlead::sql
