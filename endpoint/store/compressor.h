#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fairlead::endpoint::store {

// zstd frames with their content size. Not thread-safe.
class Compressor {
 public:
  explicit Compressor(int level);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  // The view ends with the next call.
  std::string_view Compress(std::string_view raw);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// DataLoss when it is not a whole frame, or of more than 32 MiB.
absl::StatusOr<std::string> Decompress(std::string_view frame);

}  // namespace fairlead::endpoint::store
