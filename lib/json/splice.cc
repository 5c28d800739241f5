#include "lib/json/splice.h"

#include "lib/base/check.h"

namespace fairlead::json {
namespace {

template <typename OnPiece>
void ForEachKept(std::string_view text, std::span<const Range> cuts, OnPiece on_piece) {
  size_t at = 0;
  for (const Range& cut : cuts) {
    FAIRLEAD_CHECK(at <= cut.begin && cut.begin <= cut.end && cut.end <= text.size());
    if (cut.begin > at) on_piece(text.substr(at, cut.begin - at));
    at = cut.end;
  }
  if (at < text.size()) on_piece(text.substr(at));
}

}  // namespace

void Splice(std::string_view text, std::span<const Range> cuts, std::string* out) {
  out->reserve(out->size() + SplicedSize(text, cuts));
  ForEachKept(text, cuts, [out](std::string_view piece) { out->append(piece); });
}

size_t SplicedSize(std::string_view text, std::span<const Range> cuts) {
  size_t size = 0;
  ForEachKept(text, cuts, [&size](std::string_view piece) { size += piece.size(); });
  return size;
}

base::U128 HashSpliced(std::string_view text, std::span<const Range> cuts,
                       base::Sha256Trunc128Stream* hash) {
  ForEachKept(text, cuts, [hash](std::string_view piece) { hash->Add(piece); });
  return hash->Finish();
}

}  // namespace fairlead::json
