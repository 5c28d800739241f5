#include "lib/json/frame_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fairlead::json {
namespace {

using Frames = std::vector<std::string>;

void Read(FrameReader* reader, std::string_view piece, Frames* out) {
  // A copy on the heap, so that a view kept too long is seen by the address sanitizer.
  const std::string own(piece);
  reader->Feed(own);
  while (auto frame = reader->Next()) out->emplace_back(*frame);
}

TEST(FrameReader, FramesAreTheSameWhereverTheStreamIsCut) {
  const std::string stream = "{\"a\":1}\n\n{\"bb\":\"x\\ny\"}\r\n  \n[3]\n";
  const Frames whole = {"{\"a\":1}", "{\"bb\":\"x\\ny\"}\r", "[3]"};
  for (size_t first = 0; first <= stream.size(); ++first) {
    for (size_t second = first; second <= stream.size(); ++second) {
      FrameReader reader;
      Frames frames;
      Read(&reader, std::string_view(stream).substr(0, first), &frames);
      Read(&reader, std::string_view(stream).substr(first, second - first), &frames);
      Read(&reader, std::string_view(stream).substr(second), &frames);
      ASSERT_EQ(frames, whole) << first << " " << second;
      ASSERT_TRUE(reader.TakeError().ok());
      ASSERT_TRUE(reader.Finish().ok());
    }
  }
}

TEST(FrameReader, AFrameInOnePieceIsNotCopied) {
  FrameReader reader;
  const std::string piece = "{\"a\":1}\n";
  reader.Feed(piece);
  EXPECT_EQ(reader.Next()->data(), piece.data());
  EXPECT_FALSE(reader.Next());
}

TEST(FrameReader, ATooLongFrameIsReportedOnceAndTheStreamGoesOnBehindIt) {
  const std::string stream = "[1]\n" + std::string(50, 'x') + "\n[2]\n";
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameReader reader({.max_frame_bytes = 10});
    Frames frames;
    Read(&reader, std::string_view(stream).substr(0, cut), &frames);
    Read(&reader, std::string_view(stream).substr(cut), &frames);
    ASSERT_EQ(frames, (Frames{"[1]", "[2]"})) << cut;
    ASSERT_EQ(reader.dropped_frames(), 1u);
    ASSERT_EQ(reader.TakeError().code(), absl::StatusCode::kResourceExhausted);
    ASSERT_TRUE(reader.TakeError().ok());
    ASSERT_TRUE(reader.Finish().ok());
  }
}

TEST(FrameReader, AFrameOfExactlyTheLimitPasses) {
  FrameReader reader({.max_frame_bytes = 10});
  Frames frames;
  Read(&reader, "01234", &frames);
  Read(&reader, "56789\n", &frames);
  EXPECT_EQ(frames, Frames{"0123456789"});
  EXPECT_TRUE(reader.TakeError().ok());
}

TEST(FrameReader, WhatIsKeptOfAnEndlessFrameIsBounded) {
  FrameReader reader({.max_frame_bytes = 100});
  Frames frames;
  for (int i = 0; i < 1000; ++i) {
    Read(&reader, std::string(60, 'x'), &frames);
    ASSERT_LE(reader.partial_bytes(), 100u);
  }
  EXPECT_EQ(reader.dropped_frames(), 1u);
  EXPECT_EQ(reader.Finish().code(), absl::StatusCode::kDataLoss);
}

TEST(FrameReader, AStreamThatEndsInsideAFrameIsAnError) {
  FrameReader reader;
  Frames frames;
  Read(&reader, "[1]\n[2", &frames);
  EXPECT_EQ(frames, Frames{"[1]"});
  EXPECT_EQ(reader.Finish().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(reader.Finish().ok());
}

TEST(FrameReader, GivesItsBufferBackOnlyWhenNoPartialFrameIsInIt) {
  FrameReader reader;
  Frames frames;
  Read(&reader, "[1", &frames);
  reader.ReleaseIdle();
  Read(&reader, "]\n", &frames);
  reader.ReleaseIdle();
  EXPECT_EQ(frames, Frames{"[1]"});
}

}  // namespace
}  // namespace fairlead::json
