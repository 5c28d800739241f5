#include "endpoint/session/rescope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const store::Kind kPods{"", "pods", "Pod", "v1", true};
const store::Kind kNodes{"", "nodes", "Node", "v1", false};
const store::Kind kWidgets{"example.com", "widgets", "Widget", "v1", true};

store::Position At(const store::Kind& kind, const std::string& watch = "") {
  store::Position position;
  position.kind = kind;
  position.watch = watch;
  return position;
}

agent::v1::Scope Cluster(const std::vector<std::string>& kinds = {}) {
  agent::v1::Scope scope;
  scope.set_level_cluster(true);
  scope.set_cluster_scoped(true);
  for (const std::string& kind : kinds) scope.add_kinds(kind);
  return scope;
}

MATCHER_P(Of, kind, "") { return arg == kind; }

TEST(Rescoped, IsNothingWhileEveryWatchIsAskedFor) {
  EXPECT_THAT(Rescoped({At(kPods), At(kNodes)}, Cluster({"pod", "node", "secret"})), IsEmpty());
}

TEST(Rescoped, AKindLeftOutGoes) {
  EXPECT_THAT(Rescoped({At(kPods), At(kWidgets)}, Cluster({"pod"})),
              ElementsAre(Pair(Of(kWidgets), IsEmpty())));
  agent::v1::Scope omits = Cluster({"pod", "widget.example.com"});
  omits.add_omit_kinds("pod");
  EXPECT_THAT(Rescoped({At(kPods), At(kWidgets)}, omits), ElementsAre(Pair(Of(kPods), IsEmpty())));
}

TEST(Rescoped, ACustomResourceLeftOutGoesAndTheDefaultKindsStay) {
  agent::v1::Scope scope = Cluster();
  scope.add_custom_resources()->set_kubernetes_kind("Widget.example.com");
  EXPECT_THAT(Rescoped({At(kPods), At(kWidgets)}, scope), IsEmpty());
  EXPECT_THAT(Rescoped({At(kPods), At(kWidgets)}, Cluster()),
              ElementsAre(Pair(Of(kWidgets), IsEmpty())));
}

TEST(Rescoped, ClusterScopedKindsGoWhenTheyAreNotToBeWatched) {
  agent::v1::Scope scope = Cluster({"pod", "node"});
  scope.set_cluster_scoped(false);
  EXPECT_THAT(Rescoped({At(kPods), At(kNodes)}, scope), ElementsAre(Pair(Of(kNodes), IsEmpty())));
}

TEST(Rescoped, TheWatchesOfAKindBecomeThoseOfItsNamespaces) {
  agent::v1::Scope scope = Cluster({"pod"});
  scope.set_level_cluster(false);
  scope.add_namespaces("x");
  scope.add_namespaces("y");
  EXPECT_THAT(Rescoped({At(kPods)}, scope), ElementsAre(Pair(Of(kPods), ElementsAre("x", "y"))));
  EXPECT_THAT(Rescoped({At(kPods, "x"), At(kPods, "z")}, scope),
              ElementsAre(Pair(Of(kPods), ElementsAre("x", "y"))));
  EXPECT_THAT(Rescoped({At(kPods, "x")}, scope), IsEmpty()) << "another watch is no loss";
  EXPECT_THAT(Rescoped({At(kPods, "x"), At(kPods, "y")}, Cluster({"pod"})),
              ElementsAre(Pair(Of(kPods), ElementsAre(""))));
}

}  // namespace
}  // namespace fairlead::endpoint
