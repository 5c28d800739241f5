#include "lib/base/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ConfigReader Of(std::string_view yaml) {
  auto reader = ConfigReader::Parse(yaml, "agent.yaml");
  EXPECT_TRUE(reader.ok()) << reader.status();
  return *reader;
}

TEST(ConfigReader, ReadsTypesListsAndNestedMaps) {
  ConfigReader root = Of("a: x\nn: 5\nb: true\nl: [p, q]\nm: {inner: y}\nlist: [{k: 1}, {k: 2}]\n");
  EXPECT_EQ(root.RequiredString("a"), "x");
  EXPECT_EQ(root.Int("n", 0, 0, 10), 5);
  EXPECT_TRUE(root.Bool("b", false));
  EXPECT_THAT(root.Strings("l"), ElementsAre("p", "q"));
  EXPECT_EQ(root.Map("m").String("inner"), "y");
  int64_t sum = 0;
  for (ConfigReader& item : root.Maps("list")) sum += item.Int("k", 0, 0, 9);
  EXPECT_EQ(sum, 3);
  EXPECT_TRUE(root.Finish().ok()) << root.Finish();
}

TEST(ConfigReader, AnUnknownKeyIsNamedWithItsPathAndTheNearestValidOne) {
  ConfigReader root = Of("limits: {pendingByte: 7}\n");
  ConfigReader limits = root.Map("limits");
  limits.Int("pendingBytes", 1, 1, 100);
  EXPECT_THAT(
      root.Finish().message(),
      HasSubstr("agent.yaml: limits.pendingByte: unknown key; did you mean \"pendingBytes\"?"));
}

TEST(ConfigReader, AMapThatNobodyReadsIsAnUnknownKeyToo) {
  ConfigReader root = Of("a: 1\nextra: {deep: 1}\n");
  root.Int("a", 0, 0, 9);
  EXPECT_THAT(root.Finish().message(), HasSubstr("extra: unknown key"));
}

TEST(ConfigReader, WrongTypesAndBoundsAreErrorsThatNameThePath) {
  ConfigReader root = Of("n: 11\n");
  EXPECT_EQ(root.Int("n", 4, 0, 10), 4);
  EXPECT_THAT(root.Finish().message(), HasSubstr("n: must be a whole number from 0 to 10"));
  ConfigReader list = Of("accounts: [{name: {}}]\n");
  list.Maps("accounts")[0].RequiredString("name");
  EXPECT_THAT(list.Finish().message(), HasSubstr("accounts[0].name: must be a string"));
}

TEST(ConfigReader, AKeyWrittenTwiceIsAnError) {
  ConfigReader root = Of("a: 1\na: 2\n");
  root.Int("a", 0, 0, 9);
  EXPECT_THAT(root.Finish().message(), HasSubstr("a: is there twice"));
}

TEST(ConfigReader, BrokenYamlNamesTheLine) {
  EXPECT_THAT(ConfigReader::Parse("a: 1\nb: [\n", "x.yaml").status().message(),
              HasSubstr("x.yaml: line"));
  EXPECT_FALSE(ConfigReader::Parse("- a\n", "x.yaml").ok());
}

TEST(ReadFile, NamesTheFileAndTheReason) {
  EXPECT_THAT(ReadFile("/does/not/exist").status().message(),
              HasSubstr("cannot open /does/not/exist"));
}

}  // namespace
}  // namespace fairlead::base
