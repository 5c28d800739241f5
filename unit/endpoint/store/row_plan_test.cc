#include "endpoint/store/row_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;

class RowPlanTest : public ::testing::Test {
 protected:
  static RowKey Key(const std::string& name) { return {1, {"ns", name}}; }
  static StoredRow Row(int64_t id, const std::string& version) {
    return {id, "uid", 1, version, U128{0, 1}};
  }
  void Put(const std::string& name, const std::string& version, const std::string& body) {
    plan_.Put(Key(name), Row(0, version), {.application = &none_, .body = &body});
  }
  // Everything that is to be written, a word each.
  std::vector<std::string> Writes() const {
    std::vector<std::string> all;
    const RowWrites writes = plan_.Writes();
    for (const int64_t id : writes.removed) all.push_back("remove " + std::to_string(id));
    for (const auto& one : writes.put) {
      all.push_back("put " + one.key->object.name + "=" + *one.content->body + "@" +
                    one.row->resource_version);
    }
    for (const StoredRow* one : writes.confirmed) {
      all.push_back("confirm " + std::to_string(one->id) + "@" + one->resource_version);
    }
    for (const auto& one : writes.buried) {
      all.push_back("bury " + one.key->object.name + "@" + one.tombstone->resource_version);
    }
    for (const RowKey* one : writes.dug_up) all.push_back("dig up " + one->object.name);
    return all;
  }

  const std::string none_;
  const std::string a_ = "a", b_ = "b";
  RowPlan plan_;
};

TEST_F(RowPlanTest, WhatWasOnlyReadIsNotWritten) {
  plan_.Load(Key("p"), {.row = Row(7, "5")});
  plan_.Load(Key("q"), {.tombstone = Tombstone{1, "5"}});
  plan_.Load(Key("r"), {});
  EXPECT_THAT(Writes(), ElementsAre());
}

TEST_F(RowPlanTest, OfTwoChangesTheLastIsWritten) {
  plan_.Load(Key("p"), {});
  Put("p", "5", a_);
  Put("p", "6", b_);
  EXPECT_EQ(plan_.State(Key("p")).row->resource_version, "6");
  EXPECT_THAT(Writes(), ElementsAre("put p=b@6"));
}

TEST_F(RowPlanTest, ADeleteOfAStoredRowLeavesATombstone) {
  plan_.Load(Key("p"), {.row = Row(7, "5")});
  plan_.Bury(Key("p"), {1, "6"});
  EXPECT_FALSE(plan_.State(Key("p")).row);
  EXPECT_THAT(Writes(), ElementsAre("remove 7", "bury p@6"));
}

TEST_F(RowPlanTest, ADeleteThenACreateIsOneUpdate) {
  plan_.Load(Key("p"), {.row = Row(7, "5")});
  plan_.Bury(Key("p"), {1, "6"});
  Put("p", "7", a_);
  EXPECT_EQ(plan_.State(Key("p")).row->id, 7);
  EXPECT_THAT(Writes(), ElementsAre("put p=a@7"));
}

TEST_F(RowPlanTest, ACreateThenADeleteIsATombstone) {
  plan_.Load(Key("p"), {});
  Put("p", "5", a_);
  plan_.Bury(Key("p"), {1, "6"});
  EXPECT_THAT(Writes(), ElementsAre("bury p@6"));
}

TEST_F(RowPlanTest, ACreateOverATombstoneTakesItAway) {
  plan_.Load(Key("p"), {.tombstone = Tombstone{1, "5"}});
  Put("p", "6", a_);
  EXPECT_THAT(Writes(), ElementsAre("put p=a@6", "dig up p"));
  plan_.Bury(Key("p"), {1, "7"});
  EXPECT_THAT(Writes(), ElementsAre("bury p@7"));
}

TEST_F(RowPlanTest, ConfirmingWritesOnlyWhatChanges) {
  StoredRow held = Row(8, "5");
  held.held = true;
  plan_.Load(Key("p"), {.row = Row(7, "5")});
  plan_.Load(Key("q"), {.row = held});
  plan_.Load(Key("r"), {.row = Row(9, "5")});
  plan_.Confirm(Key("p"), 1, "6");
  plan_.Confirm(Key("q"), 1, "6");
  plan_.Confirm(Key("r"), 2, "3");
  EXPECT_THAT(Writes(), ElementsAre("confirm 8@5", "confirm 9@3"));
}

TEST_F(RowPlanTest, ANewHistoryConfirmedBehindAChangeIsWrittenWithIt) {
  plan_.Load(Key("p"), {});
  Put("p", "50", a_);
  plan_.Confirm(Key("p"), 2, "3");
  EXPECT_THAT(Writes(), ElementsAre("put p=a@3"));
}

TEST_F(RowPlanTest, WritesAreInOrderOfTheirKeysWhateverTheOrderOfTheChanges) {
  for (const char* name : {"c", "a", "b"}) plan_.Load(Key(name), {});
  plan_.Load({0, {"z", "z"}}, {});
  Put("c", "1", a_);
  Put("a", "2", a_);
  plan_.Put({0, {"z", "z"}}, Row(0, "3"), {.application = &none_, .body = &a_});
  Put("b", "4", a_);
  EXPECT_THAT(Writes(), ElementsAre("put z=a@3", "put a=a@2", "put b=a@4", "put c=a@1"));
}

}  // namespace
}  // namespace fairlead::endpoint::store
