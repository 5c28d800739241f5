// Who may ask what.
#include <gmock/gmock.h>

#include "unit/endpoint/rest/rest_scene.h"

namespace fairlead::endpoint {
namespace {

using ::testing::HasSubstr;

net::HttpServerRequest As(net::HttpServerRequest request, const std::string& uri,
                          const std::string& authorization) {
  request.peer_uris.clear();
  if (!uri.empty()) request.peer_uris.push_back(uri);
  if (!authorization.empty()) request.headers.emplace_back("authorization", authorization);
  return request;
}

TEST(RoleOf, ACertificatesRoleOrATokens) {
  Config config;
  config.trust_domain = "test";
  config.tokens = {{"ci", "operator", base::Sha256Hex("secret")}};
  const auto role = [&](const std::string& uri, const std::string& authorization) {
    return RoleOf(As({}, uri, authorization), config);
  };
  EXPECT_EQ(role("spiffe://test/role/admin", ""), Role::kAdmin);
  EXPECT_EQ(role("spiffe://test/role/operator", ""), Role::kOperator);
  EXPECT_EQ(role("spiffe://test/role/viewer", ""), Role::kViewer);
  EXPECT_EQ(role("", "Bearer secret"), Role::kOperator);
  for (const char* uri :
       {"", "spiffe://test/role/root", "spiffe://other/role/admin", "spiffe://test/agent/admin",
        "spiffe://test/role/admin/x", "xspiffe://test/role/admin", "spiffe://test/role/"}) {
    EXPECT_EQ(role(uri, ""), Role::kNone) << uri;
  }
  for (const char* header :
       {"Bearer ", "Bearer secre", "Bearer secret ", "bearer secret", "secret", "Basic secret"}) {
    EXPECT_EQ(role("", header), Role::kNone) << header;
  }
}

TEST(RoleOf, ALoopbackWithoutTlsAndTokensIsAdminAndWithTokensIsNot) {
  Config config;
  EXPECT_EQ(RoleOf({}, config), Role::kNone);
  config.plaintext_loopback = true;
  EXPECT_EQ(RoleOf({}, config), Role::kAdmin);
  config.tokens = {{"ci", "viewer", base::Sha256Hex("secret")}};
  EXPECT_EQ(RoleOf({}, config), Role::kNone);
}

class RolesTest : public RestScene {
 protected:
  int CodeAs(const std::string& token, const std::string& method, const std::string& target,
             const std::string& body = "") {
    return Ask(As(Request(method, target, body), "", token.empty() ? "" : "Bearer " + token))->code;
  }
};

TEST_F(RolesTest, HealthIsOpenAndNothingElseIs) {
  EXPECT_EQ(CodeAs("", "GET", "/healthz"), 200);
  EXPECT_EQ(CodeAs("", "GET", "/readyz"), 200);
  for (const char* path : {"/metrics", "/v1/accounts", "/v1/accounts/a", "/v1/objects",
                           "/v1/accounts/a/freshness", "/", "/nonsense"}) {
    const auto answer = Ask(As(Request("GET", path), "", ""));
    EXPECT_EQ(Refusal(answer), "401 Unauthorized") << path;
  }
  EXPECT_EQ(CodeAs("", "POST", "/v1/enrolment-tokens", R"({"identity":"a"})"), 401);
  EXPECT_EQ(CodeAs("wrong", "GET", "/v1/accounts"), 401);
}

TEST_F(RolesTest, AViewerReadsAndWritesNothing) {
  const std::string put = std::string(R"({"spec":)") + kSpec + "}";
  EXPECT_EQ(CodeAs("token-operator", "PUT", "/v1/accounts/a", put), 200);
  for (const char* path :
       {"/v1/accounts", "/v1/accounts/a", "/v1/objects", "/v1/accounts/a/freshness", "/metrics"}) {
    EXPECT_EQ(CodeAs("token-viewer", "GET", path), 200) << path;
  }
  EXPECT_EQ(CodeAs("token-viewer", "PUT", "/v1/accounts/b", put), 403);
  EXPECT_EQ(CodeAs("token-viewer", "DELETE", "/v1/accounts/a?uid=00"), 403);
  EXPECT_EQ(CodeAs("token-viewer", "POST", "/v1/enrolment-tokens", R"({"identity":"a"})"), 403);
  EXPECT_EQ(CodeAs("token-admin", "GET", "/v1/accounts/b"), 404) << "nothing was written";
}

}  // namespace
}  // namespace fairlead::endpoint
