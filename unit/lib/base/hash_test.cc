#include "lib/base/hash.h"

#include <gtest/gtest.h>

namespace fairlead::base {
namespace {

TEST(Hash, IsTheFirstHalfOfSha256) {
  EXPECT_EQ(ToHex(Sha256Trunc128("abc")), "ba7816bf8f01cfea414140de5dae2223");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, StreamingInPiecesEqualsOneCallAndCanBeReused) {
  Sha256Trunc128Stream stream;
  stream.Add("a");
  stream.Add("bc");
  EXPECT_EQ(stream.Finish(), Sha256Trunc128("abc"));
  stream.Add("x");
  EXPECT_EQ(stream.Finish(), Sha256Trunc128("x"));
}

TEST(ObjectKey, DoesNotConfuseNeighbouringFields) {
  EXPECT_NE(ObjectKey("", "pods", "ab", "c"), ObjectKey("", "pods", "a", "bc"));
  EXPECT_NE(ObjectKey("apps", "deployments", "a", "b"), ObjectKey("", "deployments", "a", "b"));
  EXPECT_EQ(ObjectKey("apps", "deployments", "a", "b"), ObjectKey("apps", "deployments", "a", "b"));
}

TEST(ObjectKey, IsFinal) {  // DESIGN section 11: rows in databases depend on this value
  EXPECT_EQ(ToHex(ObjectKey("apps", "deployments", "shop", "web")),
            ToHex(Sha256Trunc128(
                std::string("\0\0\0\4apps\0\0\0\13deployments\0\0\0\4shop\0\0\0\3web", 38))));
}

TEST(U128, AddsAndSubtractsModulo2To128) {
  U128 value{~0ULL, ~0ULL};
  value += U128{0, 1};
  EXPECT_EQ(value, (U128{0, 0}));
  value -= U128{0, 1};
  EXPECT_EQ(value, (U128{~0ULL, ~0ULL}));
}

TEST(U128, RoundTripsBytesAndHexAndRefusesOtherSizes) {
  const U128 value = RandomU128();
  U128 back;
  ASSERT_TRUE(FromBytes(ToBytes(value), &back));
  EXPECT_EQ(back, value);
  ASSERT_TRUE(FromHex(ToHex(value), &back));
  EXPECT_EQ(back, value);
  EXPECT_FALSE(FromBytes("short", &back));
  EXPECT_FALSE(FromHex(std::string(32, 'g'), &back));
  EXPECT_FALSE(FromHex(std::string(31, '0'), &back));
}

}  // namespace
}  // namespace fairlead::base
