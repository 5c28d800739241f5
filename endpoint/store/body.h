#pragma once

#include <string>
#include <string_view>

namespace fairlead::endpoint::store {

// zstd, for stored bodies. Decompress is false for what is not one whole frame of at most 16 MiB.
std::string Compress(std::string_view body, int level);
bool Decompress(std::string_view stored, std::string* body);

}  // namespace fairlead::endpoint::store
