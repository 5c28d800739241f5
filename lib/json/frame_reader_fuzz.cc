// The frames of a stream do not depend on how it is cut into pieces.
#include "lib/json/frame_reader.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "lib/json/list_splitter.h"

namespace {

using fairlead::json::FrameReader;
using fairlead::json::ListSplitter;

// Feeds `stream` in pieces of `step` bytes; 0 is one piece.
template <typename OnPiece>
void InPieces(std::string_view stream, size_t step, OnPiece on_piece) {
  if (step == 0) step = stream.size() + 1;
  for (size_t at = 0; at < stream.size(); at += step) {
    const std::string own(stream.substr(at, step));
    on_piece(own);
  }
}

std::vector<std::string> Frames(std::string_view stream, size_t step) {
  FrameReader reader({.max_frame_bytes = 64});
  std::vector<std::string> out;
  InPieces(stream, step, [&](std::string_view piece) {
    reader.Feed(piece);
    while (auto frame = reader.Next()) out.emplace_back(*frame);
    if (reader.partial_bytes() > 64) std::abort();
  });
  out.push_back(reader.Finish().ok() ? "whole" : "cut");
  out.push_back(std::to_string(reader.dropped_frames()));
  return out;
}

std::vector<std::string> Items(std::string_view stream, size_t step) {
  ListSplitter splitter({.max_item_bytes = 64, .max_envelope_bytes = 256});
  std::vector<std::string> out;
  InPieces(stream, step, [&](std::string_view piece) {
    splitter.Feed(piece);
    while (auto item = splitter.Next()) out.emplace_back(*item);
  });
  auto meta = splitter.Finish();
  out.push_back(meta.ok() ? meta->resource_version + "|" + meta->continue_token : "error");
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = data[0];
  if (Frames(stream, 0) != Frames(stream, step)) std::abort();
  if (Items(stream, 0) != Items(stream, step)) std::abort();
  return 0;
}
