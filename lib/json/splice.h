#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/hash.h"

namespace fairlead::json {

// Bytes [begin, end) of a text.
struct Range {
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

// Appends `text` without the cuts to `out`. Kept bytes are untouched: number spelling, key order,
// white space and unknown fields survive. `cuts` are ascending, apart and inside the text.
void Splice(std::string_view text, std::span<const Range> cuts, std::string* out);

// How many bytes Splice appends.
size_t SplicedSize(std::string_view text, std::span<const Range> cuts);

// The content hash (DESIGN section 11) of what Splice would append, without building it.
// `hash` is a reusable context with nothing added yet.
base::U128 HashSpliced(std::string_view text, std::span<const Range> cuts,
                       base::Sha256Trunc128Stream* hash);

}  // namespace fairlead::json
