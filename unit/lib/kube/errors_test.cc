#include "lib/kube/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/strings.h"
#include "lib/kube/printable.h"

namespace fairlead::kube {
namespace {

using base::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

ApiError Decode(int code, std::string_view body, const net::Headers& headers = {}) {
  return DecodeError(code, headers, body);
}

TEST(DecodeError, EachCodeHasItsReason) {
  const std::pair<int, Reason> cases[] = {
      {400, Reason::kBadRequest},       {401, Reason::kUnauthorized},
      {403, Reason::kForbidden},        {404, Reason::kNotFound},
      {405, Reason::kMethodNotAllowed}, {408, Reason::kTimeout},
      {409, Reason::kConflict},         {410, Reason::kGone},
      {418, Reason::kUnknown},          {422, Reason::kInvalid},
      {429, Reason::kTooManyRequests},  {500, Reason::kInternal},
      {502, Reason::kUnavailable},      {503, Reason::kUnavailable},
      {504, Reason::kTimeout},          {599, Reason::kInternal},
  };
  for (const auto& [code, reason] : cases) EXPECT_EQ(Decode(code, "").reason, reason) << code;
}

TEST(DecodeError, TheStatusRefinesTheCodeAndNeverContradictsIt) {
  EXPECT_EQ(Decode(409, R"({"kind":"Status","reason":"AlreadyExists"})").reason,
            Reason::kAlreadyExists);
  EXPECT_EQ(Decode(410, R"({"kind":"Status","reason":"Expired"})").reason, Reason::kExpired);
  EXPECT_EQ(Decode(500, R"({"kind":"Status","reason":"Expired"})").reason, Reason::kInternal);
}

TEST(DecodeError, AnExpiredListGivesTheTokenToGoOnWith) {
  const ApiError error = Decode(
      410, R"({"kind":"Status","reason":"Expired","metadata":{"continue":"abc"},"code":410})");
  EXPECT_TRUE(error.expired());
  EXPECT_EQ(error.continue_token, "abc");
  EXPECT_EQ(Decode(500, R"({"kind":"Status","metadata":{"continue":"abc"}})").continue_token, "");
}

TEST(DecodeError, CausesNameTheFields) {
  const ApiError error = Decode(422, R"({"kind":"Status","message":"bad","details":{"causes":[
      {"reason":"FieldValueInvalid","message":"too long","field":"spec.name"}]}})");
  ASSERT_EQ(error.causes.size(), 1U);
  EXPECT_EQ(error.causes[0].field, "spec.name");
}

TEST(DecodeError, RetryAfterComesFromTheHeaderOrTheBodyAndIsBounded) {
  EXPECT_EQ(Decode(429, "", {{"retry-after", "7"}}).retry_after, seconds(7));
  EXPECT_EQ(Decode(429, "", {{"retry-after", "99999999999999999999"}}).retry_after, seconds(600));
  EXPECT_EQ(Decode(429, R"({"kind":"Status","details":{"retryAfterSeconds":3}})").retry_after,
            seconds(3));
  EXPECT_EQ(Decode(429, "", {{"retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"}}).retry_after,
            std::nullopt);
  EXPECT_EQ(Decode(429, "", {{"retry-after", "-1"}}).retry_after, std::nullopt);
}

TEST(DecodeError, SomethingElsesAnswerIsShownSafelyAndShort) {
  const ApiError error =
      Decode(502, base::StrCat("<html>\x1b[31m\nBad gateway", std::string(5000, 'x')));
  EXPECT_EQ(error.reason, Reason::kUnavailable);
  EXPECT_THAT(error.message, HasSubstr("not a Kubernetes answer: <html>?[31m Bad gateway"));
  EXPECT_LT(error.message.size(), 200U);
}

TEST(DecodeError, WrongTypesAreReadAsNothing) {
  const ApiError error = Decode(403, R"({"kind":"Status","reason":5,"message":[],"details":7})");
  EXPECT_EQ(error.reason, Reason::kForbidden);
  EXPECT_EQ(error.message, "");
  EXPECT_EQ(Decode(403, R"([{"kind":"Status"}])").reason, Reason::kForbidden);
}

TEST(DecodeWatchError, ItsOwnCodeCounts) {
  EXPECT_TRUE(
      DecodeWatchError(R"({"kind":"Status","reason":"Expired","code":410,"message":"too old"})")
          .expired());
  EXPECT_EQ(DecodeWatchError("{").reason, Reason::kMalformed);
  EXPECT_EQ(DecodeWatchError("[]").reason, Reason::kMalformed);
  EXPECT_EQ(DecodeWatchError("{}").reason, Reason::kInternal);
}

TEST(ToStatus, HasTheNearestCodeAndSaysWhatHappened) {
  const absl::Status status = ToStatus(Decode(403, R"({"kind":"Status","message":"no"})"));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "403 Forbidden: no");
}

TEST(Printable, KeepsTextAndTakesControlCharacters) {
  EXPECT_EQ(Printable("caf\u00e9 \u65e5\u672c \U0001F600"), "caf\u00e9 \u65e5\u672c \U0001F600");
  EXPECT_EQ(Printable("a\tb\r\n\nc"), "a b c");
  EXPECT_EQ(Printable("\x1b[2J\x7f"), "?[2J?");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "31m"),
            "?31m");
}

TEST(Printable, BytesThatAreNoUtf8BecomeQuestionMarks) {
  EXPECT_EQ(Printable("\xff\xc3"), "??");
  EXPECT_EQ(Printable("\xe0\x80\x80"), "???");       // longer than needed
  EXPECT_EQ(Printable("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "????");  // beyond the last character
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(Printable("abcdef", 3), "abc...");
  EXPECT_EQ(Printable("ab\u00e9", 3), "ab...");
  EXPECT_EQ(Printable("abc", 3), "abc");
}

}  // namespace
}  // namespace fairlead::kube
