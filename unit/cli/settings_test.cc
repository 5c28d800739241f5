#include "cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

std::string MessageOf(const absl::StatusOr<Settings>& settings) {
  return settings.ok() ? "" : std::string(settings.status().message());
}

Settings File() {
  Settings file;
  file.endpoint = "https://file:8443";
  file.ca_file = "/file/ca";
  file.token_file = "/file/token";
  return file;
}

TEST(Settings, AFileHasEveryKeyAndItsNamesAreRelativeToIt) {
  const auto settings = ParseSettings(
      "endpoint: https://e:1\ncaFile: ca.crt\ntokenFile: /abs/token\ncertificateFile: c\n"
      "keyFile: k\ntimeoutSeconds: 5\n",
      "ctl.yaml", "/home/me/.config/fairlead");
  ASSERT_TRUE(settings.ok()) << settings.status().ToString();
  EXPECT_EQ(settings->endpoint, "https://e:1");
  EXPECT_EQ(settings->ca_file, "/home/me/.config/fairlead/ca.crt");
  EXPECT_EQ(settings->token_file, "/abs/token");
  EXPECT_EQ(settings->certificate_file, "/home/me/.config/fairlead/c");
  EXPECT_EQ(settings->key_file, "/home/me/.config/fairlead/k");
  EXPECT_EQ(settings->timeout_seconds, 5);
}

TEST(Settings, AnUnknownKeyIsNamedWithTheNearestValidOne) {
  EXPECT_THAT(MessageOf(ParseSettings("tokenFlie: x", "ctl.yaml", "/")),
              HasSubstr("ctl.yaml: tokenFlie: unknown key; did you mean \"tokenFile\"?"));
}

TEST(Settings, TheCommandLineWins) {
  ConnectionFlags flags;
  flags.endpoint = "https://flag:1/";
  flags.ca_file = "mine";
  const auto settings = Merge(File(), flags);
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->endpoint, "https://flag:1");
  EXPECT_EQ(settings->ca_file, "mine");
  EXPECT_EQ(settings->token_file, "/file/token");
}

TEST(Settings, ACredentialOfTheCommandLineReplacesAllOfTheFiles) {
  ConnectionFlags flags;
  flags.certificate_file = "c";
  flags.key_file = "k";
  const auto settings = Merge(File(), flags);
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->token_file, "");
  EXPECT_EQ(settings->certificate_file, "c");
}

TEST(Settings, WhatIsMissingIsNamedWithTheNextStep) {
  EXPECT_THAT(MessageOf(Merge({}, {})), HasSubstr("give --endpoint https://host:port"));
  ConnectionFlags flags;
  flags.endpoint = "e:8443";
  EXPECT_THAT(MessageOf(Merge({}, flags)), HasSubstr("did you mean \"https://e:8443\"?"));
  flags = {};
  flags.certificate_file = "c";
  EXPECT_THAT(MessageOf(Merge(File(), flags)), HasSubstr("--key FILE"));
  flags = {};
  flags.key_file = "k";
  EXPECT_THAT(MessageOf(Merge(File(), flags)), HasSubstr("--cert FILE"));
}

TEST(Settings, AFileThatWasNamedMustBeThere) {
  ConnectionFlags flags;
  flags.endpoint = "https://e:1";
  flags.config_file = "/nonexistent/ctl.yaml";
  EXPECT_THAT(MessageOf(LoadSettings(flags)), HasSubstr("/nonexistent/ctl.yaml"));
}

}  // namespace
}  // namespace fairlead::cli
