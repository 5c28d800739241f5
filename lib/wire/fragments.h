#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/fairlead/agent/v1/agent.pb.h"

namespace fairlead::wire {

// The encoded message in pieces of at most `piece_bytes` (> 0), in order.
[[nodiscard]] std::vector<agent::v1::ChangesUp> Fragments(const agent::v1::ChangesUp& message,
                                                          size_t piece_bytes);

// Puts the fragments of one stream together again.
//
// Bounds: `most_bytes` a message; what is beyond is an error, after which the stream has to end.
// Pure; one thread. Tests: unit/lib/wire/fragments_test.cc.
class FragmentJoiner {
 public:
  explicit FragmentJoiner(size_t most_bytes) : most_bytes_(most_bytes) {}
  // The message, when this was its last piece.
  [[nodiscard]] absl::StatusOr<std::optional<agent::v1::ChangesUp>> Add(
      const agent::v1::Fragment& fragment);

 private:
  size_t most_bytes_;
  std::string bytes_;
};

}  // namespace fairlead::wire
