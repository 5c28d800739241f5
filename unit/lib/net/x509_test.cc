#include "lib/net/x509.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kDay = 86400;

class X509Test : public ::testing::Test {
 protected:
  X509Test() {
    CertificateSpec root;
    root.common_name = "root";
    root.ca = true;
    root.path_length = 1;
    root.lifetime_seconds = 10 * kDay;
    root_ = *SelfSigned(root);
    CertificateSpec issuer;
    issuer.common_name = "issuer";
    issuer.ca = true;
    issuer.lifetime_seconds = 5 * kDay;
    issuer_ = *Issue(issuer, root_);
    agent_.common_name = "agent-1";
    agent_.uris = {"spiffe://corp/agent/agent-1"};
    agent_.client = true;
    agent_.lifetime_seconds = kDay;
  }
  KeyAndCertificate root_;
  KeyAndCertificate issuer_;
  CertificateSpec agent_;
};

TEST_F(X509Test, ARequestSignedByTheIntermediateVerifiesAgainstTheRoot) {
  const std::string key = *NewKey();
  const std::string request = *NewRequest(key, "whatever the agent says");
  const auto signed_pem = SignRequest(request, agent_, issuer_);
  ASSERT_TRUE(signed_pem.ok()) << signed_pem.status().ToString();
  EXPECT_TRUE(VerifyChain(*signed_pem + issuer_.certificate_pem, root_.certificate_pem).ok());
  EXPECT_FALSE(VerifyChain(*signed_pem, root_.certificate_pem).ok());
  EXPECT_TRUE(KeyFits(key, *signed_pem));
  EXPECT_FALSE(KeyFits(issuer_.key_pem, *signed_pem));
  const auto info = Describe(*signed_pem);
  EXPECT_EQ(info->common_name, "agent-1");
  EXPECT_THAT(info->uris, ElementsAre("spiffe://corp/agent/agent-1"));
  EXPECT_FALSE(info->ca);
  EXPECT_NEAR(static_cast<double>(info->not_after - info->not_before), kDay + 300, 5);
}

TEST_F(X509Test, ServingNamesAreInTheCertificate) {
  CertificateSpec spec;
  spec.common_name = "endpoint";
  spec.server = true;
  spec.dns = {"endpoint.fairlead.svc", "localhost"};
  spec.ips = {"127.0.0.1", "::1"};
  spec.lifetime_seconds = kDay;
  const auto info = Describe(Issue(spec, issuer_)->certificate_pem);
  EXPECT_THAT(info->dns, ElementsAre("endpoint.fairlead.svc", "localhost"));
  EXPECT_THAT(info->ips, ElementsAre("127.0.0.1", "::1"));
}

TEST_F(X509Test, ALeafNeverOutlivesItsIssuer) {
  agent_.lifetime_seconds = 100 * kDay;
  const auto leaf = Describe(Issue(agent_, issuer_)->certificate_pem);
  EXPECT_EQ(leaf->not_after, Describe(issuer_.certificate_pem)->not_after);
}

TEST_F(X509Test, ALeafMayNotSign) {
  const auto leaf = Issue(agent_, issuer_);
  ASSERT_TRUE(leaf.ok());
  EXPECT_FALSE(Issue(agent_, *leaf).ok());
}

TEST_F(X509Test, AnotherRootDoesNotVerify) {
  CertificateSpec other;
  other.common_name = "other";
  other.ca = true;
  other.lifetime_seconds = kDay;
  EXPECT_FALSE(VerifyChain(issuer_.certificate_pem, SelfSigned(other)->certificate_pem).ok());
}

TEST_F(X509Test, ANameCannotSmuggleAnotherOne) {
  agent_.uris = {"spiffe://corp/agent/a,URI:spiffe://corp/role/operator"};
  EXPECT_FALSE(Issue(agent_, issuer_).ok());
  agent_.uris = {};
  agent_.dns = {"a b"};
  EXPECT_FALSE(Issue(agent_, issuer_).ok());
}

TEST_F(X509Test, BadInputIsAnErrorThatDoesNotQuoteIt) {
  EXPECT_FALSE(SignRequest("garbage-canary", agent_, issuer_).ok());
  EXPECT_FALSE(SignRequest(std::string(1 << 20, 'x'), agent_, issuer_).ok());
  EXPECT_FALSE(Describe("garbage").ok());
  KeyAndCertificate mixed = issuer_;
  mixed.key_pem = root_.key_pem;
  const std::string key = *NewKey();
  const auto refused = SignRequest(*NewRequest(key, "x"), agent_, mixed);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message().data(), refused.status().message().size()),
              HasSubstr("does not belong"));
  // A request tampered with after it was signed.
  std::string request = *NewRequest(key, "x");
  const size_t middle = request.size() / 2;
  request[middle] = request[middle] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(SignRequest(request, agent_, issuer_).ok());
}

}  // namespace
}  // namespace fairlead::net
