#include "lib/json/walker.h"

#include "lib/base/status.h"
#include "lib/json/text.h"

namespace fairlead::json {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNumber(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t first = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at > first;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (at < text.size() && text[at] == '0') {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

}  // namespace

uint32_t TokenWalker::EndBefore(uint32_t end) const {
  while (end > 0 && IsSpace(text_[end - 1])) --end;
  return end;
}

bool TokenWalker::CheckScalar(size_t token) const {
  if (token >= count_) return false;
  const uint32_t begin = tokens_[token];
  const std::string_view scalar = text_.substr(begin, EndBefore(OffsetOf(token + 1)) - begin);
  switch (scalar[0]) {
    case 't':
      return scalar == "true";
    case 'f':
      return scalar == "false";
    case 'n':
      return scalar == "null";
    default:
      return IsNumber(scalar);
  }
}

bool TokenWalker::SkipKey() {
  if (At(next_) != '"' || At(next_ + 1) != ':') return false;
  next_ += 2;
  return true;
}

bool TokenWalker::SkipValue() {
  char closers[kMaxDepth];
  size_t depth = 0;
  for (;;) {
    const char c = At(next_);
    if (c == '{' || c == '[') {
      if (depth == max_depth_) {
        too_deep_ = true;
        return Fail();
      }
      closers[depth++] = c == '{' ? '}' : ']';
      ++next_;
      if (At(next_) != closers[depth - 1]) {
        if (c == '{' && !SkipKey()) return Fail();
        continue;
      }
    } else if (c == '"' || CheckScalar(next_)) {
      ++next_;
    } else {
      return Fail();
    }
    while (depth > 0 && At(next_) == closers[depth - 1]) {
      --depth;
      ++next_;
    }
    if (depth == 0) return true;
    if (!Take(',')) return Fail();
    if (closers[depth - 1] == '}' && !SkipKey()) return Fail();
  }
}

absl::Status TokenWalker::status() const {
  if (!failed_) return absl::OkStatus();
  const std::string what = too_deep_ ? base::StrCat("JSON: nested deeper than ", max_depth_)
                                     : std::string("JSON: malformed");
  return absl::InvalidArgumentError(base::StrCat(what, " at byte ", Offset()));
}

bool ObjectCursor::Next(TokenWalker* walker, std::string_view text) {
  if (walker->failed() || walker->Take('}')) return false;
  if (index >= 0) {
    comma_before = walker->Offset();
    if (!walker->Take(',')) return walker->Fail();
  }
  ++index;
  begin = walker->Offset();
  if (!walker->Take('"')) return walker->Fail();
  key = text.substr(begin + 1, walker->EndOfPrevious() - begin - 2);
  return walker->Take(':') || walker->Fail();
}

absl::Status CheckJson(std::string_view text, StructuralIndex* index, size_t max_depth) {
  FAIRLEAD_RETURN_IF_ERROR(index->Build(text));
  TokenWalker walker(text, *index, max_depth);
  if (walker.SkipValue() && !walker.AtEnd()) walker.Fail();
  FAIRLEAD_RETURN_IF_ERROR(walker.status());
  if (!EscapesAreValid(text)) return absl::InvalidArgumentError("JSON: bad escape in a string");
  return absl::OkStatus();
}

}  // namespace fairlead::json
