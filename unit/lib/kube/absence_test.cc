#include "lib/kube/absence.h"

#include <gtest/gtest.h>

namespace fairlead::kube {
namespace {

const ResourceType kWidgets{"example.com", "v1", "widgets", "Widget", true};
constexpr char kNoDefinition[] =
    R"({"kind":"CustomResourceDefinitionList","metadata":{"resourceVersion":"70"},"items":[]})";
constexpr char kLocalOnly[] =
    R"({"kind":"APIServiceList","metadata":{},"items":[{"spec":{"group":"example.com"}},)"
    R"({"spec":{"group":"metrics.k8s.io","service":{"name":"m"}}}]})";

TEST(Absence, IsProvenByAnEmptyListOfItsDefinition) {
  EXPECT_EQ(DefinitionTarget(kWidgets),
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=1&fieldSelector="
            "metadata.name%3Dwidgets.example.com");
  EXPECT_EQ(ProvenGone(kWidgets, kNoDefinition, kLocalOnly), "70");
}

TEST(Absence, ADefinitionThatIsThereProvesNothing) {
  EXPECT_FALSE(ProvenGone(kWidgets,
                          R"({"kind":"CustomResourceDefinitionList","metadata":)"
                          R"({"resourceVersion":"70"},"items":[{}]})",
                          kLocalOnly));
}

TEST(Absence, AGroupOfAnotherServerIsNotJudgedByDefinitions) {
  EXPECT_FALSE(ProvenGone(kWidgets, kNoDefinition,
                          R"({"kind":"APIServiceList","metadata":{},"items":[)"
                          R"({"spec":{"group":"example.com","service":{"name":"s"}}}]})"));
}

TEST(Absence, AnythingButTwoWholeListsProvesNothing) {
  for (
      const char* other :
      {"", "null", "[]", R"({"kind":"Status","code":403})",
       R"({"kind":"CustomResourceDefinitionList"})",
       R"({"kind":"CustomResourceDefinitionList","metadata":{},"items":[]})",
       R"({"kind":"CustomResourceDefinitionList","metadata":{"resourceVersion":"7","continue":"x"},"items":[]})"}) {
    EXPECT_FALSE(ProvenGone(kWidgets, other, kLocalOnly)) << other;
  }
  for (const char* other :
       {"", R"({"kind":"Status"})", R"({"kind":"APIServiceList"})",
        R"({"kind":"APIServiceList","metadata":{"continue":"x"},"items":[]})"}) {
    EXPECT_FALSE(ProvenGone(kWidgets, kNoDefinition, other)) << other;
  }
}

TEST(Absence, OnlyWhatAWholeDiscoveryLacksIsUnserved) {
  Discovery discovery;
  EXPECT_TRUE(Unserved(kWidgets, discovery));
  EXPECT_FALSE(Unserved({"apps", "v1", "deployments", "Deployment", true}, discovery));
  EXPECT_FALSE(Unserved({"", "v1", "pods", "Pod", true}, discovery));
  discovery.unknown_groups = {"example.com"};
  EXPECT_FALSE(Unserved(kWidgets, discovery)) << "the group's server is away";
  discovery.unknown_groups = {"example.org"};
  EXPECT_TRUE(Unserved(kWidgets, discovery));
  discovery.resources = {{"example.com", "v2", "widgets", "Widget", true}};
  EXPECT_FALSE(Unserved(kWidgets, discovery)) << "another version of it";
}

}  // namespace
}  // namespace fairlead::kube
