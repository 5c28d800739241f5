#include "operator/runtime/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "unit/fakes/fake_hub.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::op {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class InformerTest : public ::testing::Test {
 protected:
  InformerTest() {
    informer_ = std::make_unique<Informer>(
        kube::ResourceType{"fairlead.dev", "v1", "things", "Thing", true}, "s", &api_, &loop_,
        [this](const Key& key) { changed_.push_back(key.name); });
  }
  ~InformerTest() override {
    informer_->Stop();
    loop_.Run();
    informer_.reset();
  }
  void Put(const std::string& name, int value = 0) {
    Json::Value object;
    object["apiVersion"] = "fairlead.dev/v1";
    object["kind"] = "Thing";
    object["metadata"]["name"] = name;
    object["metadata"]["namespace"] = "s";
    object["metadata"]["managedFields"].append("large");
    object["spec"]["value"] = value;
    hub_.Put(object, "things");
  }
  void Start() {
    informer_->Start();
    loop_.Run();
  }
  // The watch is lost and its position with it: the whole list is read again.
  void Relist() {
    hub_.Compact();
    loop_.Advance(base::minutes(2));
  }
  std::vector<std::string> Names() {
    std::vector<std::string> out;
    for (const Informer::Object& one : informer_->List()) {
      out.push_back((*one)["metadata"]["name"].asString());
    }
    return out;
  }

  fakes::ManualLoop loop_;
  fakes::FakeHub hub_{"hub"};
  fakes::MemoryTransport transport_{
      [this](const auto& request, auto reply) { hub_.Handle(request, reply); }, &loop_};
  kube::ApiClient api_{&transport_, &loop_, kube::TokenSource("", ""), "test"};
  std::vector<std::string> changed_;
  std::unique_ptr<Informer> informer_;
};

TEST_F(InformerTest, IsSyncedAfterTheWholeListAndFollowsFromThere) {
  Put("a");
  Put("b");
  EXPECT_FALSE(informer_->synced());
  Start();
  EXPECT_TRUE(informer_->synced());
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  changed_.clear();
  Put("a", 7);
  hub_.Remove("things", "s", "b");
  Put("c");
  loop_.Run();
  EXPECT_THAT(changed_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(Names(), ElementsAre("a", "c"));
  EXPECT_EQ((*informer_->Get({"s", "a"}))["spec"]["value"], 7);
}

TEST_F(InformerTest, WhatGoesWhileTheWatchIsLostIsToldOfAndWhatStayedIsNot) {
  Put("a");
  Put("b");
  Start();
  changed_.clear();
  hub_.Lose("things", "s", "b");
  Put("c");
  loop_.Run();
  Relist();
  EXPECT_THAT(changed_, UnorderedElementsAre("b", "c"));
  EXPECT_THAT(Names(), ElementsAre("a", "c"));
}

TEST_F(InformerTest, ANamesakeMadeMeanwhileIsAChangeWithItsOwnUid) {
  Put("a");
  Start();
  const Informer::Object before = informer_->Get({"s", "a"});
  changed_.clear();
  hub_.HoldWatches();
  hub_.Lose("things", "s", "a");
  Put("a");
  loop_.Run();
  ASSERT_THAT(changed_, IsEmpty()) << "only a list can tell";
  Relist();
  EXPECT_THAT(changed_, ElementsAre("a"));
  const Informer::Object after = informer_->Get({"s", "a"});
  EXPECT_NE((*after)["metadata"]["uid"], (*before)["metadata"]["uid"]);
  EXPECT_EQ((*before)["metadata"]["uid"].asString(), "hub-uid-2") << "what was read never changes";
}

TEST_F(InformerTest, KeepsEverythingThroughRefusalsAndAMissingKind) {
  Put("a");
  Start();
  changed_.clear();
  const fakes::FakeHub::Fate answers[] = {
      {.status = 403, .reason = "Forbidden"},     {.status = 401, .reason = "Unauthorized"},
      {.status = 404, .reason = "NotFound"},      {.status = 429, .reason = "TooManyRequests"},
      {.status = 500, .reason = "InternalError"}, {.lost = true}};
  for (const auto& fate : answers) {
    hub_.set_script([fate](const net::HttpRequest&) { return fate; });
    hub_.ClearRequests();
    Relist();
    EXPECT_THAT(hub_.requests(), Not(IsEmpty())) << fate.status;
    EXPECT_THAT(Names(), ElementsAre("a")) << fate.status;
    EXPECT_TRUE(informer_->synced());
  }
  EXPECT_THAT(changed_, IsEmpty());
  hub_.set_script(nullptr);
  Put("b");
  loop_.Advance(base::minutes(2));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(InformerTest, IsNotSyncedByARefusedList) {
  hub_.set_script([](const net::HttpRequest&) {
    return fakes::FakeHub::Fate{.status = 403, .reason = "Forbidden"};
  });
  Start();
  loop_.Advance(base::minutes(5));
  EXPECT_FALSE(informer_->synced());
}

TEST_F(InformerTest, AnEventThatCannotBeReadCostsItselfOnly) {
  Put("a");
  Start();
  hub_.ClearRequests();
  hub_.SendRaw("{\"type\":\"ADDED\",\"object\":{\"kind\":\"Thing\"}}\n");
  hub_.SendRaw("{\"type\":\"SOMETHING\",\"object\":{}}\n");
  Put("b");
  loop_.Run();
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_THAT(hub_.requests(), IsEmpty()) << "by the same watch";
}

TEST_F(InformerTest, AnErrorInsideTheStreamExpiresThePositionAndTheListIsReadAgain) {
  Put("a");
  Start();
  hub_.ClearRequests();
  hub_.SendRaw(R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
               "\n");
  loop_.Advance(base::minutes(2));
  int lists = 0;
  for (const std::string& one : hub_.requests()) {
    lists += one.find("limit=500") != std::string::npos;
  }
  EXPECT_EQ(lists, 1);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(InformerTest, ObjectsCarryNoManagedFields) {
  Put("a");
  Start();
  EXPECT_FALSE((*informer_->Get({"s", "a"}))["metadata"].isMember("managedFields"));
}

}  // namespace
}  // namespace fairlead::op
