#include "bench/replay_api.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "bench/ledger.h"
#include "lib/json/frame_reader.h"
#include "lib/json/list_splitter.h"
#include "lib/json/object_view.h"
#include "lib/kube/discovery.h"

namespace fairlead::bench {
namespace {

constexpr Workload kWorkload{.objects = 30, .events = 70};

// What of a body can be had now.
std::string Drain(ReplayBody* body) {
  std::string all;
  for (std::string piece; body->Append(&piece) == ReplayBody::Next::kPiece; piece.clear()) {
    all += piece;
  }
  return all;
}

std::string Get(const ReplayApi& api, const std::string& target) {
  return Drain(api.Get(target).body.get());
}

// Enters every frame into the ledger; the types, in order.
std::vector<json::WatchEventView::Type> Enter(const std::string& text, Ledger* ledger) {
  std::vector<json::WatchEventView::Type> types;
  json::FrameReader frames;
  json::ObjectReader reader;
  frames.Feed(text);
  while (const auto frame = frames.Next()) {
    const auto event = reader.ReadWatchEvent(*frame, {});
    if (!event.ok()) {
      ADD_FAILURE() << event.status();
      break;
    }
    types.push_back(event->type);
    if (event->type == json::WatchEventView::Type::kBookmark) continue;
    const json::ObjectView& object = event->object;
    ledger->Object(object.name, object.uid, object.resource_version, object.text,
                   event->type == json::WatchEventView::Type::kModified);
  }
  return types;
}

TEST(ReplayApi, PagesHoldEveryObjectOnceAndNameTheNextPage) {
  const ReplayApi api(kWorkload);
  Ledger ledger(kWorkload);
  json::ObjectReader reader;
  std::string token;
  int pages = 0;
  do {
    json::ListSplitter list;
    const std::string text = Get(api, "/api/v1/pods?limit=7&continue=" + token);
    list.Feed(text);
    while (const auto item = list.Next()) {
      const auto object = reader.ReadObject(*item, {});
      ASSERT_TRUE(object.ok()) << object.status();
      EXPECT_EQ(object->kind, "");  // a list of a built-in kind leaves it out
      ledger.Object(object->name, object->uid, object->resource_version, object->text, false);
    }
    const auto meta = list.Finish();
    ASSERT_TRUE(meta.ok()) << meta.status();
    EXPECT_EQ(meta->resource_version, std::to_string(kWorkload.ListVersion()));
    token = meta->continue_token;
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(pages, 5);
  EXPECT_EQ(ledger.items(), kWorkload.objects);
  EXPECT_TRUE(ledger.synced());
  EXPECT_EQ(ledger.faults(), 0U) << ledger.first_fault();
}

TEST(ReplayApi, AWatchWaitsForTheReleaseAndThenGivesEveryEventOnce) {
  ReplayApi api(kWorkload);
  Ledger ledger(kWorkload);
  const auto answer =
      api.Get("/api/v1/pods?watch=1&resourceVersion=" + std::to_string(kWorkload.ListVersion()));
  EXPECT_EQ(Drain(answer.body.get()), "");
  api.Release();
  EXPECT_EQ(Enter(Drain(answer.body.get()), &ledger).size(), kWorkload.events);
  EXPECT_TRUE(ledger.complete());
  EXPECT_EQ(ledger.faults(), 0U) << ledger.first_fault();
}

TEST(ReplayApi, AWatchResumesBehindItsVersion) {
  ReplayApi api(kWorkload);
  api.Release();
  Ledger ledger(kWorkload);
  const std::string text = Get(
      api, "/api/v1/pods?watch=1&resourceVersion=" + std::to_string(kWorkload.EventVersion(59)));
  EXPECT_EQ(Enter(text, &ledger).size(), 10U);
}

TEST(ReplayApi, InitialEventsEndWithABookmark) {
  const ReplayApi api(kWorkload);
  Ledger ledger(kWorkload);
  const auto types = Enter(Get(api, "/api/v1/pods?watch=1&sendInitialEvents=true"), &ledger);
  ASSERT_EQ(types.size(), kWorkload.objects + 1);
  EXPECT_EQ(types.back(), json::WatchEventView::Type::kBookmark);
  EXPECT_TRUE(ledger.synced());
}

TEST(ReplayApi, DiscoveryNamesPodsAndNothingElse) {
  const ReplayApi api(kWorkload);
  kube::Discovery discovery;
  ASSERT_TRUE(kube::ParseDiscovery(Get(api, "/api"), &discovery).ok());
  ASSERT_TRUE(kube::ParseDiscovery(Get(api, "/apis"), &discovery).ok());
  ASSERT_EQ(discovery.resources.size(), 1U);
  EXPECT_EQ(discovery.resources[0].resource, "pods");
  EXPECT_EQ(api.Get("/api/v1/secrets").status, 404);
}

TEST(ReplayApi, APodIsAsLargeAsTheSuiteSays) {
  const Corpus corpus(1, 500);
  for (uint64_t i = 0; i < 500; ++i) {
    std::string pod;
    corpus.AppendPod(i, 1, kWorkload.EventVersion(0), &pod);
    EXPECT_NEAR(static_cast<double>(pod.size()), 8900, 150);
  }
}

}  // namespace
}  // namespace fairlead::bench
