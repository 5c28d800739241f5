#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"

namespace fairlead::json {

// Where the tokens of a JSON text begin: brackets, colons, commas, opening quotes and the first
// byte of each other scalar, found by simdjson's first stage.
//
// Guarantees after an OK Build(): the text is valid UTF-8, every string is closed and holds no raw
// control byte, and between the end of a token and the next one stands only white space.
// Does not check: grammar, numbers, literals, escapes (TokenWalker and text.h do).
// Needs no readable bytes behind the text. Not thread-safe; one per thread and reused.
// Memory: 4 bytes per input byte while large texts come, given back after a run of small ones.
class StructuralIndex {
 public:
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  StructuralIndex();
  ~StructuralIndex();
  StructuralIndex(const StructuralIndex&) = delete;
  StructuralIndex& operator=(const StructuralIndex&) = delete;

  // InvalidArgument: empty, not UTF-8, an open string, a control byte. ResourceExhausted: too
  // large. Messages never quote the text.
  absl::Status Build(std::string_view text);
  const uint32_t* tokens() const { return tokens_; }
  size_t count() const { return count_; }

 private:
  struct Impl;
  absl::Status Reserve(size_t bytes);

  std::unique_ptr<Impl> impl_;
  const uint32_t* tokens_ = nullptr;
  size_t count_ = 0;
  size_t capacity_ = 0;
  int small_in_a_row_ = 0;
};

}  // namespace fairlead::json
