#include "endpoint/store/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/endpoint/store/recording_connection.h"
#include "unit/endpoint/store/store_scene.h"

namespace fairlead::endpoint::store {
namespace {

using ::testing::ElementsAre;

class ReaderTest : public StoreScene {
 protected:
  // The pages of a whole walk, each as its objects' names.
  std::vector<std::string> Walk(ObjectPageRequest request) {
    std::vector<std::string> pages;
    do {
      const auto page = reader_->Objects(request);
      EXPECT_TRUE(page.ok()) << page.status().ToString();
      if (!page.ok()) return pages;
      std::string names;
      for (const StoredObject& one : page->objects) names += one.object.name;
      pages.push_back(names);
      request.continue_token = page->continue_token;
    } while (!request.continue_token.empty() && pages.size() < 20);
    return pages;
  }
  ObjectPageRequest All(int limit) const {
    ObjectPageRequest all;
    all.filter.account = a_.account;
    all.limit = limit;
    return all;
  }
};

TEST_P(ReaderTest, PagesHoldEachObjectOnceAndTheLastHasNoToken) {
  Write(Make(a_, 1,
             {Upsert("e", "1", "{}"), Upsert("b", "2", "{}"), Upsert("d", "3", "{}"),
              Upsert("a", "4", "{}"), Upsert("c", "5", "{}")}));
  Write(Make(b_, 1, {Upsert("other", "1", "{}")}));
  EXPECT_THAT(Walk(All(2)), ElementsAre("ab", "cd", "e"));
  EXPECT_THAT(Walk(All(5)), ElementsAre("abcde"));
}

TEST_P(ReaderTest, APageEndsWithTheBodyThatReachesItsBytes) {
  const std::string large(6 << 20, 'x');
  Write(Make(a_, 1,
             {Upsert("a", "1", large), Upsert("b", "2", large), Upsert("c", "3", large),
              Upsert("d", "4", large), Upsert("e", "5", std::string(15 << 20, 'x')),
              Upsert("f", "6", "{}")}));
  EXPECT_THAT(Walk(All(100)), ElementsAre("abc", "de", "f"));
  ObjectPageRequest without = All(100);
  without.bodies = false;
  EXPECT_THAT(Walk(without), ElementsAre("abcdef"));
}

// A server sends all rows that a query gives, also those that are not wanted any more.
TEST_P(ReaderTest, APageThatEndsByItsBytesReadsFewRowsMore) {
  for (int i = 0; i < 400; i += 20) {
    std::vector<Entry> some;
    for (int j = i; j < i + 20; ++j)
      some.emplace_back(Upsert("p" + std::to_string(1000 + j), "5", std::string(200'000, 'x')));
    Write(Make(a_, 1 + i / 20, some));
  }
  auto connection =
      std::make_unique<RecordingConnection>(*sql::Open(database_, sql::Access::kReadOnly));
  const RecordingConnection& recording = *connection;
  Reader reader(std::move(connection));
  ObjectPageRequest request = All(400);
  size_t objects = 0;
  do {
    const auto page = reader.Objects(request);
    ASSERT_EQ(page.status(), absl::OkStatus());
    EXPECT_LE(page->objects.size(), 84U) << "16 MiB";
    objects += page->objects.size();
    request.continue_token = page->continue_token;
  } while (!request.continue_token.empty());
  EXPECT_EQ(objects, 400U);
  for (const int64_t limit : recording.limits) EXPECT_LE(limit, 64);
}

TEST_P(ReaderTest, PagesOfManyChunksHoldEachObjectOnce) {
  std::vector<Entry> all;
  for (int i = 0; i < 300; ++i) all.emplace_back(Upsert(std::to_string(1000 + i), "5", "{}"));
  Write(Make(a_, 1, all));
  for (const int limit : {63, 64, 65, 128, 299, 300, 301}) {
    std::string names, wanted;
    for (const std::string& page : Walk(All(limit))) names += page;
    for (int i = 0; i < 300; ++i) wanted += std::to_string(1000 + i);
    EXPECT_EQ(names, wanted) << limit;
  }
}

TEST_P(ReaderTest, TheAnchorsOfACheckpointComeBackUntilASnapshotMovesThePosition) {
  Checkpoint at{.kind = 0, .watch = "", .history = 1, .resource_version = "50", .rules_hash = "r"};
  at.anchors = {{{"ns", "a"}, "uid-a", "40"}, {{"", "node"}, "uid-n", "7"}};
  Write(Make(a_, 1, {Upsert("a", "12", "{}"), at}));
  Position found = reader_->Positions(a_, true)->front();
  EXPECT_TRUE(found.anchors_at_position);
  ASSERT_EQ(found.anchors.size(), 2U);
  EXPECT_EQ(found.anchors[0].resource_version, "40");
  EXPECT_EQ(found.anchors[1].object, (ObjectName{"", "node"}));
  EXPECT_EQ(found.anchors[1].uid, "uid-n");
  Write(Make(a_, 2, {Begin(), SnapshotEnd{kSnapshot, "60", 0, {}, 0, /*incomplete=*/true}}));
  found = reader_->Positions(a_, true)->front();
  EXPECT_FALSE(found.anchors_at_position);
  ASSERT_EQ(found.anchors.size(), 1U);
  EXPECT_EQ(found.anchors[0].resource_version, "12") << "of its row";
}

TEST_P(ReaderTest, TheAnchorsAreTheNewestVersionsOfABatch) {
  const Checkpoint at{
      .kind = 0, .watch = "", .history = 1, .resource_version = "5", .rules_hash = "r"};
  Write(Make(a_, 1, {Upsert("old", "99999", "{}"), at}));
  Write(Make(a_, 2,
             {Upsert("a", "100", "{}"), Upsert("b", "8", "{}"), Upsert("c", "9", "{}"),
              Upsert("d", "12", "{}"), Upsert("e", "101", "{}")}));
  std::vector<std::string> versions;
  const auto positions = reader_->Positions(a_, true);
  for (const Anchor& one : positions->front().anchors) versions.push_back(one.resource_version);
  EXPECT_THAT(versions, ElementsAre("101", "100", "12", "9"));
}

INSTANTIATE_STORE_SUITE(ReaderTest);

}  // namespace
}  // namespace fairlead::endpoint::store
