#include "lib/json/dom.h"

#include <gtest/gtest.h>

#include <limits>

namespace fairlead::json {
namespace {

TEST(Dom, ReadsEveryTypeAndWritesItCompactWithSortedKeys) {
  auto value = ParseJson(R"( {"b":[1,-2,true,null],"a":"\u00e9\n","c":{}} )");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(WriteJson(*value), "{\"a\":\"\xC3\xA9\\n\",\"b\":[1,-2,true,null],\"c\":{}}");
  EXPECT_TRUE(ParseJson("3").ok());
  EXPECT_TRUE(ParseJson("\"x\"").ok());
}

TEST(Dom, KeepsLargeIntegers) {
  auto value = ParseJson("[9007199254740993,18446744073709551615]");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(WriteJson(*value), "[9007199254740993,18446744073709551615]");
}

TEST(Dom, RefusesWhatIsNotStrictJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":1,}",
                           "{\"a\":1,\"a\":2}",
                           "// x\n1",
                           "{a:1}",
                           "{'a':1}",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "NaN",
                           "Infinity",
                           "tru",
                           "1 2",
                           "[1]]",
                           "\"\\q\"",
                           "\"\\ud800\"",
                           "\"\x01\"",
                           "\"\xff\"",
                           "\xEF\xBB\xBF{}",
                           "[1 2]",
                           "{\"a\" 1}",
                           "{\"a\":}",
                           "[\"a\"b]",
                           "1\"a\"",
                           "{\"a\":{\"\\u0061\":1,\"a\":2}}",
                           "nullx",
                           "[-]",
                           "[1e]",
                           "[}",
                           "{]",
                           "\"abc",
                           "[1,,2]"}) {
    auto value = ParseJson(text);
    EXPECT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Dom, LimitsDepthAndSizeWithoutThrowing) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(ParseJson(nested(200)).ok());
  EXPECT_FALSE(ParseJson(nested(201)).ok());
  EXPECT_FALSE(ParseJson(nested(100000)).ok());
  EXPECT_FALSE(ParseJson(std::string(100000, '[')).ok());
  EXPECT_EQ(ParseJson("[1,2,3]", {.max_bytes = 6}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Dom, ErrorsDoNotQuoteTheText) {
  auto value = ParseJson("{\"password\":\"canary\",\"password\":\"canary\"}");
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(std::string(value.status().ToString()).find("canary"), std::string::npos);
}

TEST(Dom, WritingDoesNotThrow) {
  EXPECT_NO_THROW(WriteJson(Json::Value(std::numeric_limits<double>::infinity())));
}

}  // namespace
}  // namespace fairlead::json
