#include "cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/json/dom.h"

namespace fairlead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Json::Value J(const std::string& text) { return *json::ParseJson(text); }

// One account, connected, with two fresh watches: nothing to complain about.
class Report : public ::testing::Test {
 protected:
  Report() {
    input.url = "https://e:1";
    input.max_age = base::seconds(300);
    input.accounts = {J(R"({"name":"prod","status":{"connected":true,"standbys":1,"state":"Running",
                            "kinds":[]}})")};
    input.freshness["prod"].answer = J(R"({"watches":[
        {"resource":"pods","group":"","watch":"","ageMs":1000,"held":0},
        {"resource":"deployments","group":"apps","watch":"shop","ageMs":2500,"held":0},
        {"resource":"jobs","group":"","watch":"","state":"Forbidden","ageMs":-1,"held":0}]})");
  }
  Json::Value& status() { return input.accounts[0]["status"]; }
  Json::Value& watch(int index) { return input.freshness["prod"].answer["watches"][index]; }
  std::vector<std::string> Problems() const { return Assess(input).problems; }
  StatusInput input;
};

TEST_F(Report, NothingIsWrong) {
  const StatusReport report = Assess(input);
  EXPECT_TRUE(report.healthy());
  EXPECT_EQ(RenderReport(report, Output::kTable),
            "endpoint https://e:1: ready\n\n"
            "ACCOUNT  AGENT      STANDBYS  STATE    WATCHES  OLDEST  HELD  PROBLEMS\n"
            "prod     connected  1         Running  2        2s      0     0\n\n"
            "all is well\n");
}

TEST_F(Report, AnEndpointThatIsNotReady) {
  input.ready = absl::UnavailableError("not ready: store: disk full");
  EXPECT_FALSE(Assess(input).ready);
  EXPECT_THAT(Problems(), ElementsAre("endpoint: not ready: store: disk full"));
}

TEST_F(Report, AccountsThatCouldNotBeRead) {
  input.accounts.clear();
  input.accounts_read = absl::PermissionDeniedError("HTTP 401");
  EXPECT_THAT(Problems(), ElementsAre("accounts: HTTP 401"));
}

TEST_F(Report, AnAccountWithoutAnAgent) {
  status()["connected"] = false;
  EXPECT_THAT(Problems(), ElementsAre(StartsWith("prod: no agent is connected")));
}

TEST_F(Report, AnAgentThatDoesNotRun) {
  status()["state"] = "Unreachable";
  status()["detail"] = "dial tcp: refused";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("Unreachable: dial tcp: refused")));
}

TEST_F(Report, WhatIsNotWatchedIsAProblemUnlessTheClusterDoesNotHaveIt) {
  status()["kinds"].append("widgets.example.com: Missing");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Assess(input).accounts[0].not_watching, ElementsAre("widgets.example.com: Missing"));
  status()["kinds"].append("secrets: Forbidden no right to list");
  EXPECT_THAT(Problems(), ElementsAre("prod: not watching secrets: Forbidden no right to list"));
}

TEST_F(Report, AWatchAtTheLimitIsFreshAndBeyondItIsNot) {
  watch(1)["ageMs"] = 300'000;
  EXPECT_THAT(Problems(), IsEmpty());
  watch(1)["ageMs"] = 300'001;
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("1 of 2 watches are older than 5m: "
                                                "deployments.apps in shop")));
}

TEST_F(Report, AFirstListThatIsNotFinishedIsNeverFresh) {
  watch(0)["ageMs"] = -1;
  EXPECT_THAT(Problems(), ElementsAre("prod: 1 of 2 first lists not finished: pods"));
  EXPECT_EQ(Assess(input).accounts[0].oldest_age_ms, -1);
}

TEST_F(Report, AnAccountOfWhichNothingWasRead) {
  input.freshness["prod"].answer = J(R"({"watches":[]})");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("nothing was read")));
}

TEST_F(Report, FreshnessThatCouldNotBeReadIsNotFresh) {
  input.freshness["prod"].read = absl::UnavailableError("HTTP 503");
  EXPECT_THAT(Problems(), ElementsAre("prod: freshness: HTTP 503"));
}

TEST_F(Report, HeldRowsWaitForSomebody) {
  watch(0)["held"] = 3;
  watch(1)["held"] = 4;
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("7 rows are held")));
}

TEST_F(Report, ManyNamesAreCutToFive) {
  for (int i = 0; i < 8; ++i) status()["kinds"].append("k" + std::to_string(i) + ": Forbidden");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("k4: Forbidden and 3 more")));
}

TEST_F(Report, ProgramsGetTheSame) {
  watch(0)["held"] = 3;
  const Json::Value json = J(RenderReport(Assess(input), Output::kJson));
  EXPECT_EQ(json["healthy"], false);
  EXPECT_EQ(json["endpoint"]["ready"], true);
  EXPECT_EQ(json["accounts"][0]["heldRows"], 3);
  EXPECT_EQ(json["accounts"][0]["oldestAgeMs"], 2500);
  EXPECT_EQ(json["problems"].size(), 1U);
  EXPECT_THAT(RenderReport(Assess(input), Output::kYaml), HasSubstr("healthy: false\n"));
}

TEST_F(Report, ALineBreakFromAnAgentStartsNoNewLine) {
  status()["state"] = "X";
  status()["detail"] = "a\nproblem: forged \x1b[2J";
  const std::string text = RenderReport(Assess(input), Output::kTable);
  EXPECT_THAT(text, ::testing::Not(HasSubstr("\nproblem: forged")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace fairlead::cli
