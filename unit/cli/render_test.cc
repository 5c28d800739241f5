#include "cli/render.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <regex>

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

// Whether a plain scalar is a null, boolean, number, time, merge or value to a reader of YAML 1.1
// or of 1.2. Source: https://yaml.org/type/ and YAML 1.2.2, section 10.3.2.
bool IsNoString(const std::string& plain) {
  static const std::regex kOthers(
      "~?|null|Null|NULL|"
      "[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|"
      "[-+]?(0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])*)|"
      "[-+]?([0-9][0-9_]*\\.?[0-9_]*|\\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?|"
      "[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)|"
      "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \\t].*)?|"
      "<<|=");
  return std::regex_match(plain, kOthers);
}

TEST(RenderYaml, StringsThatReadAsSomethingElseAreQuoted) {
  for (const char* text : {"true",
                           "No",
                           "y",
                           "N",
                           "off",
                           "null",
                           "~",
                           "",
                           "1",
                           "1e3",
                           "+1",
                           "0x1f",
                           "0o17",
                           "1_000",
                           "1:30",
                           "-1",
                           ".5",
                           "12.5",
                           "5.",
                           ".inf",
                           ".nan",
                           "2026-01-01",
                           "2026-01-01T00:00:00Z",
                           "<<",
                           "="}) {
    EXPECT_TRUE(IsNoString(text)) << "so the check below would see it: " << text;
    Json::Value value;
    value["k"].append(text);
    value["m"][text] = text;
    EXPECT_EQ(ToYaml(text), std::string("\"") + text + "\"\n");
    const YAML::Node read = YAML::Load(ToYaml(value));
    EXPECT_EQ(read["k"][0].Tag(), "!") << text;  // quoted
    EXPECT_EQ(read["m"].begin()->first.Tag(), "!") << text;
    EXPECT_EQ(read["m"].begin()->second.Tag(), "!") << text;
  }
}

// An independent reader agrees that every string stays a string with the same bytes.
TEST(RenderYaml, StringsStayStrings) {
  for (const char* text :
       {"-",  "- a",   "a: b",  "a #b",  "#c",  "*a",  "&a",       "!t",     "%x",
        "@x", "`x",    "a\nb",  " a",    "a ",  "[x]", "{x}",      "'x'",    "\"x\"",
        "?",  ":",     "|",     ">",     "a,b", "\\",  "/usr/bin", "v1.2.3", "gr\xc3\xbc\xc3\x9f",
        "e3", "truer", "nully", "x0x1f", "...", "---", "true",     "1",      "null"}) {
    Json::Value value;
    value["k"].append(text);
    value["m"][text] = text;
    const YAML::Node read = YAML::Load(ToYaml(value));
    ASSERT_TRUE(read.IsMap() && read["k"].IsSequence() && read["m"].IsMap()) << text;
    for (const YAML::Node& one :
         {YAML::Node(read["k"][0]), read["m"].begin()->first, read["m"].begin()->second}) {
      ASSERT_TRUE(one.IsScalar()) << text;
      EXPECT_EQ(one.Scalar(), text);
      EXPECT_TRUE(one.Tag() == "!" || !IsNoString(one.Scalar())) << text;
    }
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
