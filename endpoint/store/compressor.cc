#include "endpoint/store/compressor.h"

#include <zstd.h>

#include "lib/base/check.h"

namespace fairlead::endpoint::store {
namespace {
constexpr unsigned long long kMostRaw = 32ULL << 20;
}

struct Compressor::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  int level = 1;
  std::string buffer;
  ~State() { ZSTD_freeCCtx(context); }
};

Compressor::Compressor(int level) : state_(std::make_unique<State>()) { state_->level = level; }
Compressor::~Compressor() = default;

std::string_view Compressor::Compress(std::string_view raw) {
  std::string& buffer = state_->buffer;
  const size_t most = ZSTD_compressBound(raw.size());
  if (buffer.size() < most) buffer.resize(most);
  const size_t size = ZSTD_compressCCtx(state_->context, buffer.data(), buffer.size(), raw.data(),
                                        raw.size(), state_->level);
  FAIRLEAD_CHECK(!ZSTD_isError(size));
  return std::string_view(buffer).substr(0, size);
}

absl::StatusOr<std::string> Decompress(std::string_view frame) {
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kMostRaw) {
    return absl::DataLossError("stored body: not a zstd frame of a known, small enough size");
  }
  std::string out(size, '\0');
  const size_t got = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(got) || got != size) return absl::DataLossError("stored body: damaged zstd frame");
  return out;
}

}  // namespace fairlead::endpoint::store
