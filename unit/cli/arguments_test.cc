#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words) {
  return ParseArguments(words, "fairleadctl");
}

std::string ErrorOf(const std::vector<std::string>& words) {
  const auto arguments = Parse(words);
  return arguments.ok() ? "" : std::string(arguments.status().message());
}

TEST(Arguments, AValueStandsBehindItsFlagOrAfterAnEqualsSign) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"objects", "--kind", "pod", "-o", "json"},
                                             {"objects", "--kind=pod", "--output=json"},
                                             {"objects", "-kpod", "-ojson"},
                                             {"objects", "-k=pod", "-o=json"}}) {
    const auto arguments = Parse(words);
    ASSERT_TRUE(arguments.ok()) << arguments.status().ToString();
    EXPECT_EQ(arguments->objects.kind, "pod");
    EXPECT_EQ(arguments->output, Output::kJson);
  }
}

TEST(Arguments, EveryFlagReachesItsField) {
  const auto objects = Parse(
      {"objects", "--account", "a",          "--group",     "apps",    "-n",       "s",
       "--name",  "web",       "-a",         "shop",        "--limit", "7",        "--body",
       "-o",      "yaml",      "--endpoint", "https://e:1", "--ca",    "ca",       "--token-file",
       "t",       "--cert",    "c",          "--key",       "k",       "--config", "f"});
  ASSERT_TRUE(objects.ok()) << objects.status().ToString();
  EXPECT_EQ(objects->objects.account, "a");
  EXPECT_EQ(objects->objects.group, "apps");
  EXPECT_EQ(objects->objects.name_space, "s");
  EXPECT_EQ(objects->objects.name, "web");
  EXPECT_EQ(objects->objects.application, "shop");
  EXPECT_EQ(objects->objects.limit, 7);
  EXPECT_TRUE(objects->objects.bodies);
  EXPECT_EQ(objects->connection.endpoint, "https://e:1");
  EXPECT_EQ(objects->connection.ca_file, "ca");
  EXPECT_EQ(objects->connection.token_file, "t");
  EXPECT_EQ(objects->connection.certificate_file, "c");
  EXPECT_EQ(objects->connection.key_file, "k");
  EXPECT_EQ(objects->connection.config_file, "f");
  EXPECT_EQ(Parse({"status", "--max-age", "60"})->max_age, base::seconds(60));
  const auto accounts = Parse({"accounts", "prod", "-w", "test"});
  EXPECT_TRUE(accounts->watch);
  EXPECT_THAT(accounts->names, ElementsAre("prod", "test"));
}

TEST(Arguments, AuditAndConfirmDeletesAreOfOneAccountAndPerhapsOneKind) {
  const auto audit = Parse({"audit", "prod", "deployments", "--group", "apps"});
  ASSERT_TRUE(audit.ok()) << audit.status().ToString();
  EXPECT_EQ(audit->verb, Verb::kAudit);
  EXPECT_THAT(audit->names, ElementsAre("prod"));
  EXPECT_EQ(audit->objects.kind, "deployments");
  EXPECT_EQ(audit->objects.group, "apps");
  EXPECT_EQ(Parse({"audit", "prod"})->objects.kind, "");
  const auto confirm = Parse({"accounts", "confirm-deletes", "prod", "--kind", "pod"});
  ASSERT_TRUE(confirm.ok()) << confirm.status().ToString();
  EXPECT_EQ(confirm->verb, Verb::kConfirmDeletes);
  EXPECT_THAT(confirm->names, ElementsAre("prod"));
  EXPECT_EQ(confirm->objects.kind, "pod");
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"audit"},
                                             {"audit", "a", "b", "c"},
                                             {"accounts", "confirm-deletes"},
                                             {"accounts", "confirm-deletes", "a", "b"}}) {
    EXPECT_FALSE(Parse(words).ok());
  }
}

TEST(Arguments, TheCoreGroupIsNotNoGroup) {
  EXPECT_EQ(Parse({"objects", "--group="})->objects.group, "");
  EXPECT_EQ(Parse({"objects"})->objects.group, std::nullopt);
}

TEST(Arguments, AnUnknownWordIsNamedWithTheNearestValidOne) {
  EXPECT_THAT(ErrorOf({"acounts"}),
              HasSubstr("\"acounts\" is no verb; did you mean \"accounts\"?"));
  EXPECT_THAT(ErrorOf({"help", "stat"}), HasSubstr("did you mean \"status\"?"));
  EXPECT_THAT(ErrorOf({"objects", "--knid=pod"}),
              HasSubstr("--knid: no such flag; did you mean --kind?"));
  EXPECT_THAT(ErrorOf({"status", "-o", "jsn"}), HasSubstr("did you mean \"json\"?"));
}

TEST(Arguments, AFlagOfAnotherVerbIsSaidToBeOne) {
  EXPECT_EQ(ErrorOf({"accounts", "--kind", "pod"}),
            "--kind and --group are of accounts confirm-deletes");
  EXPECT_THAT(ErrorOf({"status", "-w"}), HasSubstr("-w: no such flag"));
}

TEST(Arguments, WhatCannotBeMeantIsRefused) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("--help"));
  EXPECT_THAT(ErrorOf({"--ca", "x", "status"}), HasSubstr("the verb comes first"));
  EXPECT_THAT(ErrorOf({"objects", "--kind"}), HasSubstr("--kind needs a value"));
  EXPECT_THAT(ErrorOf({"accounts", "--watch=yes"}), HasSubstr("--watch takes no value"));
  EXPECT_THAT(ErrorOf({"objects", "pod"}), HasSubstr("did you mean --name pod or --kind pod?"));
  EXPECT_THAT(ErrorOf({"objects", "--body"}), HasSubstr("-o json or -o yaml"));
  for (const char* limit : {"0", "-1", "x", "", "99999999999999999999"}) {
    EXPECT_THAT(ErrorOf({"objects", "--limit", limit}), HasSubstr("--limit: ")) << limit;
  }
}

TEST(Arguments, HelpOfAVerbHasItsFlagsOnly) {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"help", "objects"}, {"objects", "--help"}, {"objects", "-n", "x", "-h"}}) {
    const auto arguments = Parse(words);
    ASSERT_TRUE(arguments.ok());
    EXPECT_EQ(arguments->verb, Verb::kHelp);
    EXPECT_THAT(arguments->help_text, HasSubstr("--application"));
    EXPECT_THAT(arguments->help_text, ::testing::Not(HasSubstr("--max-age")));
  }
  EXPECT_THAT(Parse({"--help"})->help_text, HasSubstr("accounts"));
  EXPECT_EQ(Parse({"--version"})->verb, Verb::kVersion);
}

TEST(Arguments, AsAPluginOfKubectlItIsCalledThroughKubectl) {
  EXPECT_EQ(ProgramName("/usr/local/bin/kubectl-fairlead"), "kubectl fairlead");
  EXPECT_EQ(ProgramName("kubectl-fairlead"), "kubectl fairlead");
  EXPECT_EQ(ProgramName("./fairleadctl"), "fairleadctl");
  EXPECT_THAT(ParseArguments({"--help"}, "kubectl fairlead")->help_text,
              HasSubstr("usage: kubectl fairlead VERB"));
}

}  // namespace
}  // namespace fairlead::cli
