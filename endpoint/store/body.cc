#include "endpoint/store/body.h"

#include <zstd.h>

namespace fairlead::endpoint::store {

namespace {
constexpr size_t kMostBytes = size_t{16} << 20;
}  // namespace

std::string Compress(std::string_view body, int level) {
  std::string out(ZSTD_compressBound(body.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), level);
  out.resize(ZSTD_isError(size) != 0 ? 0 : size);
  return out;
}

bool Decompress(std::string_view stored, std::string* body) {
  const auto size = ZSTD_getFrameContentSize(stored.data(), stored.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kMostBytes) {
    return false;
  }
  body->resize(size);
  return ZSTD_decompress(body->data(), body->size(), stored.data(), stored.size()) == size;
}

}  // namespace fairlead::endpoint::store
