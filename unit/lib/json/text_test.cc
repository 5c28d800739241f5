#include "lib/json/text.h"

#include <gtest/gtest.h>

#include "lib/json/walker.h"

namespace fairlead::json {
namespace {

TEST(JsonText, DecodesEveryEscape) {
  std::string out;
  ASSERT_TRUE(DecodeString(R"(\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00 é)", &out));
  EXPECT_EQ(out, "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 é");
}

TEST(JsonText, RefusesBadEscapesAndLoneSurrogates) {
  std::string out;
  for (const char* raw : {"\\", "\\q", "\\u12", "\\u12g4", "\\ud800", "\\ud800x", "\\ud800\\u0041",
                          "\\udc00", "\\ud800\\ud800"}) {
    EXPECT_FALSE(DecodeString(raw, &out)) << raw;
    EXPECT_FALSE(EscapesAreValid(raw)) << raw;
  }
}

TEST(JsonText, AStringWithoutEscapesIsNotCopied) {
  std::string scratch;
  std::string_view out;
  const std::string_view raw = "plain";
  ASSERT_TRUE(ReadString(raw, &scratch, &out));
  EXPECT_EQ(out.data(), raw.data());
}

TEST(CheckJson, TakesEveryShapeOfNumberAndNoOther) {
  StructuralIndex index;
  for (const char* text : {"0", "-0", "10", "1.5", "-1.5e+10", "1E-2", "12345678901234567890123"}) {
    EXPECT_TRUE(CheckJson(text, &index).ok()) << text;
  }
  for (const char* text : {"00", "-", "1.", "1.e1", ".1", "1e", "1e+", "0x1", "1_0", "+1", "1a"}) {
    EXPECT_FALSE(CheckJson(text, &index).ok()) << text;
  }
}

TEST(CheckJson, SaysWhereAndWhatButNotTheText) {
  StructuralIndex index;
  EXPECT_EQ(CheckJson("[1,canary]", &index).message(), "JSON: malformed at byte 3");
  EXPECT_EQ(CheckJson("\"\xff\"", &index).message(), "JSON: not valid UTF-8");
  EXPECT_EQ(CheckJson("\"canary", &index).message(), "JSON: a string is not closed");
}

TEST(StructuralIndex, RefusesATextTooLarge) {
  StructuralIndex index;
  const std::string huge(StructuralIndex::kMaxBytes + 1, ' ');
  EXPECT_EQ(index.Build(huge).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace fairlead::json
