#include "lib/kube/kinds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::kube {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kCore[] = R"({"kind":"APIGroupDiscoveryList","items":[{"metadata":{},"versions":[
  {"version":"v1","freshness":"Current","resources":[
    {"resource":"pods","responseKind":{"group":"","version":"v1","kind":"Pod"},"scope":"Namespaced","verbs":["list","watch","get"]},
    {"resource":"nodes","responseKind":{"kind":"Node"},"scope":"Cluster","verbs":["list","watch"]},
    {"resource":"namespaces","responseKind":{"kind":"Namespace"},"scope":"Cluster","verbs":["list","watch"]},
    {"resource":"secrets","responseKind":{"kind":"Secret"},"scope":"Namespaced","verbs":["list","watch"]},
    {"resource":"bindings","responseKind":{"kind":"Binding"},"scope":"Namespaced","verbs":["create"]}]}]}]})";
constexpr char kGroups[] = R"({"kind":"APIGroupDiscoveryList","items":[
  {"metadata":{"name":"apps"},"versions":[
    {"version":"v1","resources":[{"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["list","watch"]}]},
    {"version":"v1beta1","resources":[
      {"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["list","watch"]},
      {"resource":"olds","responseKind":{"kind":"Old"},"scope":"Namespaced","verbs":["list","watch"]}]}]},
  {"metadata":{"name":"example.com"},"versions":[{"version":"v2","freshness":"Stale","resources":[
      {"resource":"deployments","responseKind":{"kind":"Deployment"},"scope":"Namespaced","verbs":["list","watch"]}]}]}]})";

Discovery Discovered() {
  Discovery discovery;
  EXPECT_TRUE(ParseDiscovery(kCore, &discovery).ok());
  EXPECT_TRUE(ParseDiscovery(kGroups, &discovery).ok());
  return discovery;
}

std::vector<std::string> Names(const WatchPlan& plan) {
  std::vector<std::string> names;
  for (const auto& watch : plan.watches) {
    names.push_back(CollectionPath(watch.type, watch.name_space));
  }
  return names;
}

TEST(Discovery, TakesWhatCanBeListedAndWatchedInItsPreferredVersion) {
  const Discovery discovery = Discovered();
  EXPECT_EQ(discovery.resources.size(), 7U);
  EXPECT_THAT(discovery.resources,
              Contains(ResourceType{"apps", "v1", "deployments", "Deployment", true}));
  EXPECT_THAT(discovery.resources, Contains(ResourceType{"apps", "v1beta1", "olds", "Old", true}));
  EXPECT_THAT(discovery.unknown_groups, ElementsAre("example.com"));
}

TEST(Discovery, SomethingElseIsAnErrorAndNotAnEmptyCluster) {
  Discovery discovery;
  EXPECT_FALSE(ParseDiscovery(R"({"kind":"APIVersions","versions":["v1"]})", &discovery).ok());
  EXPECT_FALSE(ParseDiscovery("<html>", &discovery).ok());
  EXPECT_FALSE(ParseDiscovery(R"({"kind":"APIGroupDiscoveryList"})", &discovery).ok());
}

TEST(PlanWatches, DefaultsAreTheNativeKindsSpinnakerShows) {
  const ScopeRules scope{.level_cluster = true};
  EXPECT_THAT(
      Names(PlanWatches(scope, Discovered())),
      UnorderedElementsAre("/api/v1/pods", "/api/v1/namespaces", "/apis/apps/v1/deployments"));
}

TEST(PlanWatches, LevelNamespacesWatchesEachAndNothingClusterScoped) {
  const ScopeRules scope{
      .namespaces = {"a", "b", "c"}, .omit_namespaces = {"c"}, .kinds = {"pod", "namespace"}};
  EXPECT_THAT(Names(PlanWatches(scope, Discovered())),
              UnorderedElementsAre("/api/v1/namespaces/a/pods", "/api/v1/namespaces/b/pods"));
}

TEST(PlanWatches, AnEmptyListOfNamespacesNeverMeansEverything) {
  EXPECT_THAT(PlanWatches(ScopeRules{.kinds = {"pod"}}, Discovered()).watches, IsEmpty());
}

TEST(PlanWatches, AKindWithAGroupIsThatOneAndOmittedKindsGo) {
  const ScopeRules scope{.level_cluster = true,
                         .kinds = {"Deployment.example.com", "secret", "Gone.example.org"},
                         .omit_kinds = {"Secret"}};
  const WatchPlan plan = PlanWatches(scope, Discovered());
  EXPECT_THAT(Names(plan), ElementsAre("/apis/example.com/v2/deployments"));
  EXPECT_THAT(plan.missing, ElementsAre("Gone.example.org"));
}

TEST(PlanWatches, AKindOfAGroupTheClusterCannotDescribeNowIsNotMissing) {
  const ScopeRules scope{.level_cluster = true, .kinds = {"Gone.example.com"}};
  EXPECT_THAT(PlanWatches(scope, Discovered()).missing, IsEmpty());
}

TEST(PlanWatches, EventsComeOnlyWhenAskedForAndNotTwice) {
  Discovery discovery;
  discovery.resources = {{"", "v1", "events", "Event", true},
                         {"events.k8s.io", "v1", "events", "Event", true}};
  EXPECT_THAT(PlanWatches({.level_cluster = true}, discovery).watches, IsEmpty());
  EXPECT_THAT(Names(PlanWatches({.level_cluster = true, .kinds = {"event"}}, discovery)),
              ElementsAre("/api/v1/events"));
}

TEST(PlanWatches, CustomResourcesAreAddedToTheDefaults) {
  Discovery discovery = Discovered();
  discovery.resources.push_back({"stable.example.com", "v1", "crontabs", "CronTab", true});
  const ScopeRules scope{.level_cluster = true, .custom_resources = {"CronTab.stable.example.com"}};
  EXPECT_THAT(
      Names(PlanWatches(scope, discovery)),
      UnorderedElementsAre("/api/v1/pods", "/api/v1/namespaces", "/apis/apps/v1/deployments",
                           "/apis/stable.example.com/v1/crontabs"));
}

TEST(PlanWatches, ClusterScopedReadsCanBeOff) {
  const ScopeRules scope{.level_cluster = true, .kinds = {"pod", "node"}, .cluster_scoped = false};
  EXPECT_THAT(Names(PlanWatches(scope, Discovered())), ElementsAre("/api/v1/pods"));
}

TEST(InScope, OmittedNamespacesAreFiltered) {
  const ScopeRules scope{.level_cluster = true, .omit_namespaces = {"kube-system"}};
  EXPECT_TRUE(InScope(scope, "shop"));
  EXPECT_FALSE(InScope(scope, "kube-system"));
  EXPECT_FALSE(InScope(ScopeRules{.namespaces = {"a"}}, "b"));
}

TEST(RulesHash, ChangesWithWhatChangesTheRowsAndWithNothingElse) {
  const ResourceType pods{"", "v1", "pods", "Pod", true};
  const ResourceType secrets{"", "v1", "secrets", "Secret", true};
  const ScopeRules plain{.level_cluster = true};
  ScopeRules keep = plain;
  keep.keep_secret_data = true;
  EXPECT_EQ(RulesHash(plain, pods, 1).size(), 16U);
  EXPECT_EQ(RulesHash(plain, pods, 1), RulesHash(keep, pods, 1));
  EXPECT_NE(RulesHash(plain, secrets, 1), RulesHash(keep, secrets, 1));
  EXPECT_NE(RulesHash(plain, pods, 1), RulesHash(plain, pods, 2));
  ScopeRules omit = plain;
  omit.omit_namespaces = {"a", "b"};
  ScopeRules turned = plain;
  turned.omit_namespaces = {"b", "a"};
  EXPECT_NE(RulesHash(plain, pods, 1), RulesHash(omit, pods, 1));
  EXPECT_EQ(RulesHash(turned, pods, 1), RulesHash(omit, pods, 1));
}

TEST(Targets, AreEncoded) {
  const ResourceType pods{"", "v1", "pods", "Pod", true};
  EXPECT_EQ(ListTarget(pods, "shop", {.limit = 500, .continue_token = "a/b=="}),
            "/api/v1/namespaces/shop/pods?limit=500&continue=a%2Fb%3D%3D");
  EXPECT_EQ(
      ListTarget(pods, "shop", {.limit = 1, .resource_version = "7", .exact = true, .name = "x"}),
      "/api/v1/namespaces/shop/"
      "pods?limit=1&resourceVersion=7&resourceVersionMatch=Exact&fieldSelector=metadata.name%3Dx");
  EXPECT_EQ(WatchTarget(pods, "", "41", 300),
            "/api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=41");
  EXPECT_EQ(ObjectPath(pods, "a", "../x"), "/api/v1/namespaces/a/pods/..%2Fx");
}

}  // namespace
}  // namespace fairlead::kube
