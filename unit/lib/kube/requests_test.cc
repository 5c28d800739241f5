#include "lib/kube/requests.h"

#include <gtest/gtest.h>

namespace fairlead::kube {
namespace {

const ObjectName kWeb{{"apps", "v1", "deployments", "Deployment", true}, "shop", "web"};

TEST(Requests, ApplyNamesItsManagerAndMayForce) {
  const auto request = ApplyRequest(kWeb, "{}", "fairlead account", /*force=*/true);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->method, "PATCH");
  EXPECT_EQ(request->target,
            "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=fairlead%20account"
            "&force=true");
  EXPECT_EQ(net::FindHeader(request->headers, "content-type"), "application/apply-patch+yaml");
  EXPECT_FALSE(ApplyRequest(kWeb, "{}", "", true).ok());
}

TEST(Requests, PatchesSayWhatTheyAre) {
  const auto merge = MergePatchRequest(kWeb, "{}", "m", "status");
  EXPECT_EQ(merge->target, "/apis/apps/v1/namespaces/shop/deployments/web/status?fieldManager=m");
  EXPECT_EQ(net::FindHeader(merge->headers, "content-type"), "application/merge-patch+json");
  EXPECT_EQ(net::FindHeader(JsonPatchRequest(kWeb, "[]", "m")->headers, "content-type"),
            "application/json-patch+json");
}

TEST(Requests, CreateGoesToTheCollection) {
  const auto request = CreateRequest(kWeb, "{}", "m");
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->target, "/apis/apps/v1/namespaces/shop/deployments?fieldManager=m");
}

TEST(Requests, ReplaceIsAPut) { EXPECT_EQ(ReplaceRequest(kWeb, "{}", "m")->method, "PUT"); }

TEST(Requests, DeleteCarriesItsConditions) {
  const auto request =
      DeleteRequest(kWeb, {.uid = "u1", .resource_version = "7", .propagation = "Foreground"});
  EXPECT_EQ(request->target, "/apis/apps/v1/namespaces/shop/deployments/web");
  EXPECT_EQ(request->body,
            R"({"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"resourceVersion":"7",)"
            R"("uid":"u1"},"propagationPolicy":"Foreground"})");
  EXPECT_EQ(DeleteRequest(kWeb)->body.find("preconditions"), std::string::npos);
}

TEST(Requests, ANameThatIsNoSegmentReachesNothing) {
  for (const char* name : {"", ".", "..", "a/b", "a%2fb"}) {
    ObjectName object = kWeb;
    object.name = name;
    EXPECT_FALSE(DeleteRequest(object).ok()) << name;
    object = kWeb;
    object.name_space = name;
    EXPECT_FALSE(GetRequest(object).ok()) << name;
    EXPECT_FALSE(CreateRequest(object, "{}", "m").ok()) << name;
  }
}

TEST(Requests, AClusterScopedObjectHasNoNamespace) {
  const auto request = GetRequest({{"", "v1", "namespaces", "Namespace", false}, "", "shop"});
  EXPECT_EQ(request->target, "/api/v1/namespaces/shop");
}

}  // namespace
}  // namespace fairlead::kube
