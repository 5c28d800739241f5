#include "cli/render.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "lib/json/dom.h"

namespace fairlead::cli {
namespace {

Json::Value J(const std::string& text) { return *json::ParseJson(text); }

TEST(RenderJson, IsIndentedAndSorted) {
  EXPECT_EQ(ToJson(J(R"({"b":[1,{"c":null}],"a":"x","e":{},"l":[]})")),
            "{\n  \"a\": \"x\",\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    }\n  ],\n"
            "  \"e\": {},\n  \"l\": []\n}");
  EXPECT_EQ(ToJsonLine(J(R"({"b":[1,true],"a":{"x":"y"}})")), R"({"a":{"x":"y"},"b":[1,true]})");
}

TEST(RenderJson, NumbersAreNotRespelledIntoLongOnes) {
  EXPECT_EQ(ToJsonLine(J("[1.1,-3,9223372036854775807,18446744073709551615,0.5]")),
            "[1.1,-3,9223372036854775807,18446744073709551615,0.5]");
}

TEST(RenderJson, ReadsBackAsTheSameValue) {
  const Json::Value value =
      J(R"({"q":"a\"b\\c\n\t\r\u0001","u":"gr\u00fc\u00df \u20ac","n":[1.5e300,-0.25]})");
  EXPECT_EQ(J(ToJson(value)), value);
  EXPECT_EQ(J(ToJsonLine(value)), value);
}

// ESC, DEL and the one-byte form of CSI, C2 9B, in a value and in a key.
TEST(Render, NothingThatATerminalObeysGetsThrough) {
  const std::string hostile =
      "a\x1b[2Jb\x7f"
      "c\xc2\x9b"
      "31md";
  Json::Value value;
  value[hostile] = hostile;
  Table table({"NAME"});
  table.Add({hostile});
  for (const std::string& text : {ToJson(value), ToYaml(value), table.Flush()}) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\x7f'), std::string::npos);
    EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos);
  }
  EXPECT_EQ(J(ToJson(value)), value);
}

TEST(RenderYaml, NestsMapsAndLists) {
  EXPECT_EQ(ToYaml(J(R"({"m":{"k":"v","n":1},"l":["a",{"x":1,"y":[true]},["q"]],"e":{},"f":[]})")),
            "e: {}\nf: []\nl:\n- a\n- x: 1\n  \"y\":\n  - true\n- - q\nm:\n  k: v\n  \"n\": 1\n");
  EXPECT_EQ(ToYaml(J("\"x\"")), "x\n");
}

// An independent reader agrees that every string stays a string with the same bytes.
TEST(RenderYaml, StringsStayStrings) {
  for (const char* text :
       {"true", "No",  "null", "~",    "",         "1",          "1e3",
        "0x1f", "-",   "- a",  "a: b", "a #b",     "#c",         "*a",
        "&a",   "!t",  "%x",   "@x",   "`x",       "a\nb",       " a",
        "a ",   "[x]", "{x}",  "'x'",  "\"x\"",    "2026-01-01", "a,b",
        "?",    ":",   "|",    ">",    "/usr/bin", "v1.2.3",     "gr\xc3\xbc\xc3\x9f",
        "\\",   "=",   "<<",   ".inf"}) {
    Json::Value value;
    value["k"].append(text);
    const YAML::Node read = YAML::Load(ToYaml(value));
    ASSERT_TRUE(read["k"][0].IsScalar()) << text;
    EXPECT_EQ(read["k"][0].Scalar(), text);
    // Quoted scalars have the tag "!": they are no number, boolean or null to any reader.
    bool boolean = false;
    const bool quoted = read["k"][0].Tag() == "!";
    EXPECT_TRUE(quoted || !YAML::convert<bool>::decode(read["k"][0], boolean)) << text;
  }
}

TEST(AgeText, HasTwoUnitsAtMost) {
  EXPECT_EQ(AgeText(-1), "never");
  EXPECT_EQ(AgeText(0), "0ms");
  EXPECT_EQ(AgeText(999), "999ms");
  EXPECT_EQ(AgeText(59'999), "59s");
  EXPECT_EQ(AgeText(60'000), "1m");
  EXPECT_EQ(AgeText(200'000), "3m20s");
  EXPECT_EQ(AgeText(3600'000 + 600'000), "1h10m");
  EXPECT_EQ(AgeText(51 * 3600'000LL), "2d3h");
}

TEST(Table, ColumnsAreAlignedByCharactersAndNothingTrails) {
  Table table({"NAME", "N"});
  table.Add({"gr\xc3\xbc\xc3\x9f", "1"});
  table.Add({"longer-name", ""});
  EXPECT_EQ(table.Flush(), "NAME         N\ngr\xc3\xbc\xc3\x9f         1\nlonger-name  -\n");
}

TEST(Table, GoesOnWithoutHeadingsAndNeverNarrower) {
  Table table({"A", "B"});
  table.Add({"longest", "1"});
  table.Flush();
  table.Add({"x", "2"});
  EXPECT_EQ(table.Flush(), "x        2\n");
  EXPECT_EQ(table.Flush(), "");
}

}  // namespace
}  // namespace fairlead::cli
