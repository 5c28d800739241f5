#include "cli/freshness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/json/dom.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

Json::Value Answer() {
  return json::ParseJson(R"({"state":"Stale","watches":[
      {"group":"apps","resource":"deployments","watch":"shop","state":"Stale","detail":"no agent",
       "ageMs":125000,"verifiedAgeMs":7200000,"count":12,"held":3},
      {"group":"","resource":"pods","watch":"","state":"Syncing","detail":"",
       "ageMs":-1,"verifiedAgeMs":-1,"count":0,"held":0}]})")
      .value();
}

TEST(Freshness, ATableHasARowForEachWatch) {
  EXPECT_EQ(RenderFreshness({{"prod", Answer()}}, Output::kTable),
            "ACCOUNT  KIND              NAMESPACE  STATE    AGE    PROVEN  ROWS  HELD  DETAIL\n"
            "prod     deployments.apps  shop       Stale    2m5s   2h      12    3     no agent\n"
            "prod     pods              -          Syncing  never  never   0     0     -\n");
}

TEST(Freshness, JsonAndYamlHaveTheWholeAnswer) {
  const std::string text = RenderFreshness({{"prod", Answer()}}, Output::kJson);
  const auto parsed = json::ParseJson(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ((*parsed)["accounts"][0]["name"], "prod");
  EXPECT_EQ((*parsed)["accounts"][0]["watches"][0]["ageMs"], 125000);
  EXPECT_THAT(RenderFreshness({{"prod", Answer()}}, Output::kYaml), HasSubstr("state: Stale"));
}

TEST(Freshness, AnAnswerThatIsNoneIsAnEmptyTable) {
  EXPECT_THAT(RenderFreshness({{"prod", Json::Value("x")}}, Output::kTable), HasSubstr("ACCOUNT"));
}

}  // namespace
}  // namespace fairlead::cli
