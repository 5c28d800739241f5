#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "lib/json/structural.h"

namespace fairlead::json {

// Walks the tokens of a StructuralIndex and checks the grammar of RFC 8259 on its way: what was
// walked is balanced, has commas and colons where they belong, and exact numbers and literals.
// Escapes inside strings are not looked at (text.h). Nesting below SkipValue() is limited to
// `max_depth`.
// After the first false it stays failed; status() says why, with an offset and no content.
class TokenWalker {
 public:
  static constexpr size_t kMaxDepth = 1000;

  // Text and index must outlive the walker; a `max_depth` above kMaxDepth counts as that.
  TokenWalker(std::string_view text, const StructuralIndex& index, size_t max_depth = kMaxDepth)
      : text_(text),
        tokens_(index.tokens()),
        count_(index.count()),
        max_depth_(std::min(max_depth, kMaxDepth)) {}

  // First byte of the next token, 0 at the end.
  char Peek() const { return At(next_); }
  // Offset of the next token; the text's size at the end.
  uint32_t Offset() const { return OffsetOf(next_); }
  // Offset of the token after the next one.
  uint32_t OffsetAfterNext() const { return OffsetOf(next_ + 1); }
  // One past the last byte of the token before the next one.
  uint32_t EndOfPrevious() const { return EndBefore(OffsetOf(next_)); }

  // Steps over the next token if it is `c`.
  bool Take(char c) {
    if (Peek() != c) return false;
    ++next_;
    return true;
  }
  // Steps over one value of any type, checking it.
  bool SkipValue();
  // Nothing may be left.
  bool AtEnd() const { return next_ == count_; }

  // Marks the walk as failed at the next token, for a rule of the caller.
  bool Fail() {
    failed_ = true;
    return false;
  }
  bool failed() const { return failed_; }
  absl::Status status() const;

 private:
  char At(size_t token) const { return token < count_ ? text_[tokens_[token]] : '\0'; }
  uint32_t OffsetOf(size_t token) const {
    return token < count_ ? tokens_[token] : static_cast<uint32_t>(text_.size());
  }
  uint32_t EndBefore(uint32_t end) const;
  bool SkipKey();
  bool CheckScalar(size_t token) const;

  std::string_view text_;
  const uint32_t* tokens_;
  size_t count_;
  size_t max_depth_;
  size_t next_ = 0;
  bool failed_ = false;
  bool too_deep_ = false;
};

// The members of one object, in order. Use:
//   if (!walker.Take('{')) wrong type;
//   for (ObjectCursor member; member.Next(&walker, text);) { read or skip exactly one value }
//   if (walker.failed()) malformed;
struct ObjectCursor {
  // False at the closing brace (then stepped over) or on a grammar error.
  bool Next(TokenWalker* walker, std::string_view text);

  std::string_view key;       // between its quotes, escapes as written
  uint32_t begin = 0;         // offset of the key's opening quote
  uint32_t comma_before = 0;  // offset of the comma before it; no meaning for index 0
  int64_t index = -1;
};

// One text holding one value of any type: UTF-8, grammar, escapes, nothing behind it.
absl::Status CheckJson(std::string_view text, StructuralIndex* index,
                       size_t max_depth = TokenWalker::kMaxDepth);

}  // namespace fairlead::json
