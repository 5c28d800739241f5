#include "lib/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::log {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

TEST(Log, WritesOneJsonObjectALineWithItsFields) {
  CaptureStderr();
  Info("hello", {{"account", "prod"}, {"term", 7}, {"ok", true}});
  const std::string line = GetCapturedStderr();
  EXPECT_THAT(
      line, HasSubstr(R"("level":"info","message":"hello","account":"prod","term":7,"ok":true})"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(Log, NeverWritesASecret) {
  CaptureStderr();
  Warn("token", {{"token", Secret("canary")}});
  const std::string line = GetCapturedStderr();
  EXPECT_EQ(line.find("canary"), std::string::npos);
  EXPECT_THAT(line, HasSubstr("[redacted]"));
}

TEST(Log, AFieldCannotForgeALineOrBreakTheJson) {
  EXPECT_EQ(JsonString("a\n\"b\\"), R"("a\u000a\"b\\")");
  EXPECT_EQ(JsonString("\xff\xc0\x80"), R"("\ufffd\ufffd\ufffd")");
  EXPECT_EQ(JsonString("\xe2\x82\xac"), "\"\xe2\x82\xac\"");
  EXPECT_EQ(JsonString("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");  // a surrogate
}

TEST(Log, BelowTheLevelNothingIsWrittenAndAnUnknownLevelIsRefused) {
  EXPECT_FALSE(SetLevel("loud"));
  ASSERT_TRUE(SetLevel("error"));
  CaptureStderr();
  Info("hidden");
  EXPECT_EQ(GetCapturedStderr(), "");
  ASSERT_TRUE(SetLevel("info"));
}

}  // namespace
}  // namespace fairlead::log
