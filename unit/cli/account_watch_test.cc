#include "cli/account_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Put(const std::string& name, int standbys) {
  return R"({"type":"PUT","account":{"name":")" + name + R"(","standbys":)" +
         std::to_string(standbys) + "}}\n";
}
const char kSynced[] = "{\"type\":\"SYNCED\"}\n";

// "+name" or "-name" for each change.
std::vector<std::string> Feed(AccountWatch& watch, const std::string& bytes) {
  const auto changes = watch.OnBytes(bytes);
  EXPECT_TRUE(changes.ok()) << changes.status().ToString();
  std::vector<std::string> out;
  for (const AccountChange& one : *changes) out.push_back((one.deleted ? "-" : "+") + one.name);
  return out;
}

TEST(AccountWatch, TheListComesOutAtOnceAndThenEachChange) {
  AccountWatch watch({});
  watch.OnStart();
  EXPECT_THAT(Feed(watch, Put("a", 0) + Put("b", 0)), IsEmpty());
  EXPECT_FALSE(watch.synced());
  EXPECT_THAT(Feed(watch, kSynced), ElementsAre("+a", "+b"));
  EXPECT_TRUE(watch.synced());
  EXPECT_THAT(Feed(watch, "\n" + Put("b", 1)), ElementsAre("+b"));
  EXPECT_THAT(Feed(watch, "{\"type\":\"DELETED\",\"name\":\"a\"}\n"), ElementsAre("-a"));
}

TEST(AccountWatch, BytesMayBeCutAnywhere) {
  const std::string stream = Put("a", 0) + "\n" + kSynced + Put("a", 1);
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    AccountWatch watch({});
    watch.OnStart();
    auto seen = Feed(watch, stream.substr(0, cut));
    for (const std::string& one : Feed(watch, stream.substr(cut))) seen.push_back(one);
    EXPECT_THAT(seen, ElementsAre("+a", "+a")) << cut;
  }
}

TEST(AccountWatch, AReconnectShowsOnlyWhatIsDifferent) {
  AccountWatch watch({});
  watch.OnStart();
  Feed(watch, Put("a", 0) + Put("b", 0) + Put("c", 0) + kSynced);
  watch.OnStart();
  EXPECT_THAT(Feed(watch, Put("a", 0) + Put("b", 1) + Put("d", 0) + kSynced),
              ElementsAre("+b", "+d", "-c"));
}

TEST(AccountWatch, AStreamThatEndsBeforeItsListDeletesNothing) {
  AccountWatch watch({});
  watch.OnStart();
  Feed(watch, Put("a", 0) + Put("b", 0) + kSynced);
  watch.OnStart();
  EXPECT_THAT(Feed(watch, Put("a", 0) + "{\"type\":\"SYN"), IsEmpty());
  watch.OnStart();
  EXPECT_THAT(Feed(watch, Put("a", 0) + Put("b", 0) + kSynced), IsEmpty());
}

TEST(AccountWatch, OtherNamesAreNotTold) {
  AccountWatch watch({"a"});
  watch.OnStart();
  EXPECT_THAT(Feed(watch, Put("a", 0) + Put("b", 0) + kSynced), ElementsAre("+a"));
  EXPECT_THAT(Feed(watch, "{\"type\":\"DELETED\",\"name\":\"b\"}\n"), IsEmpty());
}

TEST(AccountWatch, WhatIsNoStreamOfAccountsIsRefused) {
  for (const std::string& line : {std::string("<html>\n"), std::string("{\"kind\":\"Status\"}\n"),
                                  std::string("[]\n"), std::string((4 << 20) + 1, 'x')}) {
    AccountWatch watch({});
    watch.OnStart();
    EXPECT_FALSE(watch.OnBytes(line).ok()) << line.substr(0, 20);
  }
}

}  // namespace
}  // namespace fairlead::cli
