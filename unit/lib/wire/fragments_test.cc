#include "lib/wire/fragments.h"

#include <gtest/gtest.h>

namespace fairlead::wire {
namespace {

namespace v1 = fairlead::agent::v1;

v1::ChangesUp BatchOf(size_t bytes) {
  v1::ChangesUp message;
  message.mutable_batch()->set_seq(7);
  message.mutable_batch()->set_payload(std::string(bytes, 'x'));
  return message;
}

TEST(Fragments, TogetherAreTheMessage) {
  const auto pieces = Fragments(BatchOf(10'000), 4096);
  ASSERT_EQ(pieces.size(), 3U);
  FragmentJoiner joiner(size_t{1} << 20);
  for (size_t i = 0; i < 2; ++i) {
    const auto nothing = joiner.Add(pieces[i].fragment());
    ASSERT_TRUE(nothing.ok());
    EXPECT_FALSE(nothing->has_value());
  }
  const auto whole = joiner.Add(pieces[2].fragment());
  ASSERT_TRUE(whole.ok() && whole->has_value());
  EXPECT_EQ((*whole)->batch().seq(), 7U);
  EXPECT_EQ((*whole)->batch().payload(), std::string(10'000, 'x'));
}

TEST(Fragments, AMessageBeyondTheLimitEndsBeforeItIsHeld) {
  FragmentJoiner joiner(10'000);
  v1::Fragment piece;
  piece.set_data(std::string(6000, 'x'));
  ASSERT_TRUE(joiner.Add(piece).ok());
  EXPECT_EQ(joiner.Add(piece).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Fragments, ThatAreNoMessageAreRefused) {
  FragmentJoiner joiner(10'000);
  v1::Fragment piece;
  piece.set_data("\xff\xff\xff");
  piece.set_last(true);
  EXPECT_FALSE(joiner.Add(piece).ok());
}

TEST(Fragments, WithinFragmentsAreRefused) {
  v1::ChangesUp inner;
  inner.mutable_fragment()->set_data("more");
  FragmentJoiner joiner(10'000);
  EXPECT_FALSE(joiner.Add(Fragments(inner, 100)[0].fragment()).ok());
}

}  // namespace
}  // namespace fairlead::wire
