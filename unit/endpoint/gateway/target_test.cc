#include "endpoint/gateway/target.h"

#include <gtest/gtest.h>

namespace fairlead::endpoint {
namespace {

TEST(ClusterTarget, IsTheAccountAndThePathAsItCame) {
  for (const char* path :
       {"/api", "/api/", "/apis/apps/v1/namespaces/shop/deployments/web/scale", "/version",
        "/openapi/v3/apis/apps/v1", "/api/v1/nodes/n/status", "/api/v1/namespaces/exec/pods",
        "/api/v1/namespaces/shop/pods/exec", "/api/v1/namespaces/proxy/finalize",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
        "/api/v1/namespaces/shop/pods/web/log", "/apis/example.com/v1/execs/token"}) {
    const auto target = ParseClusterTarget(std::string("/clusters/prod_EU-1") + path);
    ASSERT_TRUE(target.ok()) << path << target.status();
    EXPECT_EQ(target->account, "prod_EU-1");
    EXPECT_EQ(target->path, path);
  }
}

TEST(ClusterTarget, WhatIsNoCleanPathIsInvalid) {
  for (const char* path :
       {"/clusters/", "/clusters//api", "/clusters/a%2fb/api", "/clusters/../api",
        "/clusters/prod/api/../v1", "/clusters/prod/api/%2e%2E/v1", "/clusters/prod/./api",
        "/clusters/prod//api", "/clusters/prod/api//v1", "/clusters/prod/api/v1%2Fpods",
        "/clusters/prod/api/v1%5cpods", "/clusters/prod/api/v1%00", "/clusters/prod/api/v1%0d%0a",
        "/clusters/prod/api/%zz", "/clusters/prod/api/%7f"}) {
    EXPECT_EQ(ParseClusterTarget(path).status().code(), absl::StatusCode::kInvalidArgument) << path;
  }
}

TEST(ClusterTarget, NothingButTheApiIsThere) {
  for (const char* path :
       {"/v1/accounts", "/clusters", "/clusters/prod", "/clusters/prod/", "/clusters/prod/metrics",
        "/clusters/prod/logs/x", "/clusters/prod/API"}) {
    EXPECT_EQ(ParseClusterTarget(path).status().code(), absl::StatusCode::kNotFound) << path;
  }
}

TEST(ClusterTarget, TunnelsAndCredentialsAreRefused) {
  for (const char* path :
       {"/api/v1/namespaces/shop/pods/web/exec", "/api/v1/namespaces/shop/pods/web/attach",
        "/api/v1/namespaces/shop/pods/web/portforward", "/api/v1/nodes/n/proxy/metrics",
        "/api/v1/namespaces/shop/services/https:web:443/proxy", "/api/v1/proxy/namespaces/shop/x",
        "/api/v1/namespaces/shop/serviceaccounts/default/token",
        "/api/v1/namespaces/shop/pods/web/%65xec", "/apis/example.com/v1/namespaces/a/b/c/proxy"}) {
    EXPECT_EQ(ParseClusterTarget(std::string("/clusters/prod") + path).status().code(),
              absl::StatusCode::kPermissionDenied)
        << path;
  }
}

}  // namespace
}  // namespace fairlead::endpoint
