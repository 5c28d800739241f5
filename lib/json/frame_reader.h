#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace fairlead::json {

// Splits a byte stream into frames that end with a newline, as a Kubernetes watch answers
// ("API concepts", efficient detection of changes). Blank lines are skipped.
//
// Use: Feed(piece); while (auto frame = Next()) ...; check TakeError(); at the stream's end
// Finish(). Guarantees: the frames are the same however the stream is cut into pieces; a frame that
// lies in one
//   piece is not copied, any other is copied once; memory is at most max_frame_bytes.
// A frame longer than max_frame_bytes is dropped, counted and reported by TakeError(); reading goes
// on
//   behind its newline. What it said is lost, so the caller must list again.
// Views live until the next call; the piece given to Feed() must live until Next() says nullopt.
// Not thread-safe, never blocks. No allocation per frame once the buffer has grown.
class FrameReader {
 public:
  struct Options {
    size_t max_frame_bytes = size_t{4} << 20;
  };
  FrameReader() = default;
  explicit FrameReader(const Options& options) : options_(options) {}

  // The piece before must have been read to its end.
  void Feed(std::string_view piece);
  // The next whole frame without its newline.
  std::optional<std::string_view> Next();
  // ResourceExhausted once after each call of Next() that dropped a frame; OK otherwise.
  absl::Status TakeError();
  // DataLoss when the stream ended inside a frame. The reader is empty afterwards.
  absl::Status Finish();
  // Gives the buffer back when no partial frame is in it, for a watch that fell quiet.
  void ReleaseIdle();

  uint64_t frames() const { return frames_; }
  uint64_t dropped_frames() const { return dropped_frames_; }
  // Bytes of the frame that has not ended yet.
  size_t partial_bytes() const { return tail_.size(); }

 private:
  std::optional<std::string_view> NextLine();
  void KeepTail();
  void Drop();

  Options options_;
  std::string_view piece_;  // what Next() has not looked at
  std::string tail_;        // a frame's bytes from earlier pieces
  bool tail_is_out_ = false;
  bool skipping_ = false;  // behind a dropped frame, before its newline
  bool error_ = false;
  uint64_t frames_ = 0;
  uint64_t dropped_frames_ = 0;
};

}  // namespace fairlead::json
