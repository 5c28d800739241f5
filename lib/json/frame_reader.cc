#include "lib/json/frame_reader.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/json/text.h"

namespace fairlead::json {

void FrameReader::Feed(std::string_view piece) {
  FAIRLEAD_CHECK(piece_.empty());
  piece_ = piece;
}

void FrameReader::Drop() {
  tail_.clear();
  error_ = true;
  ++dropped_frames_;
}

void FrameReader::KeepTail() {
  if (!skipping_) {
    if (tail_.size() + piece_.size() > options_.max_frame_bytes) {
      Drop();
      skipping_ = true;
    } else {
      tail_ += piece_;
    }
  }
  piece_ = {};
}

// One line, empty when it was dropped; nullopt when the piece is used up.
std::optional<std::string_view> FrameReader::NextLine() {
  const size_t newline = piece_.find('\n');
  if (newline == std::string_view::npos) {
    KeepTail();
    return std::nullopt;
  }
  std::string_view line = piece_.substr(0, newline);
  piece_.remove_prefix(newline + 1);
  if (skipping_) {
    skipping_ = false;
    return std::string_view();
  }
  if (tail_.size() + line.size() > options_.max_frame_bytes) {
    Drop();
    return std::string_view();
  }
  if (tail_.empty()) return line;
  tail_ += line;
  tail_is_out_ = true;
  return tail_;
}

std::optional<std::string_view> FrameReader::Next() {
  for (;;) {
    if (tail_is_out_) {
      tail_.clear();
      tail_is_out_ = false;
    }
    const std::optional<std::string_view> line = NextLine();
    if (!line) return std::nullopt;
    if (std::all_of(line->begin(), line->end(), IsSpace)) continue;
    ++frames_;
    return line;
  }
}

absl::Status FrameReader::TakeError() {
  if (!error_) return absl::OkStatus();
  error_ = false;
  return absl::ResourceExhaustedError(
      base::StrCat("a watch frame is longer than ", options_.max_frame_bytes, " bytes"));
}

absl::Status FrameReader::Finish() {
  FAIRLEAD_CHECK(piece_.empty());
  const size_t lost = tail_is_out_ ? 0 : tail_.size();
  const bool blank = lost == 0 || std::all_of(tail_.begin(), tail_.end(), IsSpace);
  const bool inside_dropped = skipping_;
  tail_.clear();
  tail_is_out_ = false;
  skipping_ = false;
  if (inside_dropped) return absl::DataLossError("the stream ended inside a dropped frame");
  if (blank) return absl::OkStatus();
  return absl::DataLossError(
      base::StrCat("the stream ended inside a frame, after ", lost, " bytes"));
}

void FrameReader::ReleaseIdle() {
  if (tail_is_out_ || !tail_.empty()) return;
  std::string().swap(tail_);
}

}  // namespace fairlead::json
