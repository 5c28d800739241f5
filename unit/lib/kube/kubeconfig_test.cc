#include "lib/kube/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lib/base/strings.h"

namespace fairlead::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Config(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
         "contexts: [{name: other, context: {cluster: x, user: x}}, {name: c, context: {cluster: "
         "k, user: u}}]\n"
         "clusters: [{name: k, cluster: {" +
         cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n";
}

absl::StatusOr<ClusterAccess> Hostile(const std::string& cluster, const std::string& user) {
  return ParseKubeconfig(Config(cluster, user), "secret prod", KubeconfigTrust::kHostile);
}

std::string Message(const absl::StatusOr<ClusterAccess>& result) {
  return result.ok() ? "OK" : std::string(base::View(result.status().message()));
}

TEST(Kubeconfig, TheCurrentContextIsRead) {
  const auto access = Hostile(
      "server: 'https://10.0.0.5:6443', certificate-authority-data: Y2E=, tls-server-name: api",
      "token: secret-token");
  ASSERT_TRUE(access.ok()) << access.status().ToString();
  EXPECT_EQ(access->host, "10.0.0.5");
  EXPECT_EQ(access->port, 6443);
  EXPECT_EQ(access->ca_pem, "ca");
  EXPECT_EQ(access->server_name, "api");
  EXPECT_EQ(access->token, "secret-token");
}

TEST(Kubeconfig, CertificatesAndIpv6AndDefaultPort) {
  const auto access = Hostile("server: 'https://[2001:db8::1]/'",
                              "client-certificate-data: YQ==, client-key-data: Yg==");
  ASSERT_TRUE(access.ok()) << access.status().ToString();
  EXPECT_EQ(access->host, "2001:db8::1");
  EXPECT_EQ(access->port, 443);
  EXPECT_EQ(access->certificate_pem, "a");
  EXPECT_EQ(access->key_pem, "b");
}

TEST(Kubeconfig, AHostileOneIsRefusedByField) {
  const std::string server = "server: 'https://10.0.0.5:6443'";
  const struct {
    std::string cluster;
    std::string user;
    std::string field;
  } cases[] = {
      {server + ", insecure-skip-tls-verify: true", "token: t", "insecure-skip-tls-verify"},
      {server + ", proxy-url: 'http://127.0.0.1'", "token: t", "proxy-url"},
      {server + ", certificate-authority: /etc/shadow", "token: t", "certificate-authority"},
      {server, "tokenFile: /var/run/secrets/token", "tokenFile"},
      {server, "client-certificate: /a, client-key: /b", "client-certificate"},
      {server, "exec: {command: sh}", "exec"},
      {server, "auth-provider: {name: gcp}", "auth-provider"},
      {server, "username: a, password: b", "username"},
      {server, "token: t, as: admin", "users.user.as"},
      {server, "client-certificate-data: YQ==", "client certificate without its key"},
      {server, "token: 'a b'", "users.user.token"},
      {server, "", "neither token"},
      {"server: 'http://10.0.0.5'", "token: t", "must begin with https"},
      {"server: 'https://10.0.0.5/prefix'", "token: t", "path"},
      {"server: 'https://user@10.0.0.5'", "token: t", "user"},
      {"server: 'https://10.0.0.5:99999'", "token: t", "port"},
      {"server: 'https://127.0.0.1:6443'", "token: t", "loopback"},
      {"server: 'https://169.254.169.254'", "token: t", "loopback"},
      {"server: 'https://localhost:6443'", "token: t", "loopback"},
      {"server: 'https://2130706433'", "token: t", "loopback"},
      {"server: 'https://0x7f.1'", "token: t", "loopback"},
      {"server: 'https://[::1]:6443'", "token: t", "loopback"},
      {"server: 'https://[::ffff:127.0.0.1]'", "token: t", "loopback"},
      {"server: 'https://[fe80::1]'", "token: t", "loopback"},
      {"server: 'https://0.0.0.0'", "token: t", "loopback"},
      {"server: 'https://LocalHost:6443'", "token: t", "loopback"},
      {"server: 'https://a.localhost'", "token: t", "loopback"},
      {"server: 'https://ip6-localhost.'", "token: t", "loopback"},
      {"server: 'https://[::127.0.0.1]'", "token: t", "loopback"},
      {"server: \"https://a\\r\\nx-evil: 1\"", "token: t", "no valid port"},
      {"server: \"https://a\\r\\nb\"", "token: t", "no valid host"},
      {"server: 'https://[fe80::1%25eth0]'", "token: t", "no valid host"},
      {server + ", tls-server-name: \"a\\nb\"", "token: t", "tls-server-name"},
      {server + ", certificate-authority-data: Y2E=, certificate-authority: /a", "token: t",
       "certificate-authority: is a path"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(Message(Hostile(one.cluster, one.user)), HasSubstr(one.field))
        << one.cluster << one.user;
  }
}

TEST(Kubeconfig, GarbageIsAnErrorThatDoesNotQuoteIt) {
  for (const char* text :
       {"", "[]", "a: b: c: canary-secret", "current-context: x", "{\"current-context\": {}}"}) {
    const auto access = ParseKubeconfig(text, "secret prod", KubeconfigTrust::kHostile);
    ASSERT_FALSE(access.ok()) << text;
    EXPECT_THAT(Message(access), Not(HasSubstr("canary")));
    EXPECT_THAT(Message(access), HasSubstr("secret prod"));
  }
  EXPECT_FALSE(ParseKubeconfig(std::string(2 << 20, 'x'), "s", KubeconfigTrust::kHostile).ok());
}

TEST(InCluster, OutsideAPodSaysSo) {
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_THAT(Message(InCluster()), HasSubstr("does not run in a pod"));
}

class TrustedFile : public ::testing::Test {
 protected:
  TrustedFile()
      : dir_(std::filesystem::temp_directory_path() /
             ("kubeconfig_test." + std::to_string(getpid()))) {
    std::filesystem::create_directories(dir_);
  }
  ~TrustedFile() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }
  std::filesystem::path dir_;
};

TEST_F(TrustedFile, MayUsePathsRelativeToItself) {
  Write("ca.pem", "the ca");
  Write("config", Config("server: 'http://127.0.0.1:8001', certificate-authority: ca.pem",
                         "tokenFile: token"));
  const auto access = LoadKubeconfig(dir_ / "config");
  ASSERT_TRUE(access.ok()) << access.status().ToString();
  EXPECT_EQ(access->scheme, "http");
  EXPECT_EQ(access->ca_pem, "the ca");
  EXPECT_EQ(access->token_file, dir_ / "token");
}

TEST_F(TrustedFile, ATokenFileIsReadAgainAndItsLastGoodTokenStays) {
  Write("token", "one\n");
  TokenSource source("", dir_ / "token");
  const base::Time t0{base::hours(1)};
  EXPECT_EQ(source.Get(t0), "one");
  Write("token", "two");
  EXPECT_EQ(source.Get(t0 + base::seconds(59)), "one");
  EXPECT_EQ(source.Get(t0 + base::seconds(60)), "two");
  Write("token", "three");
  source.Refused();
  EXPECT_EQ(source.Get(t0 + base::seconds(61)), "three");
  Write("token", "four");
  EXPECT_EQ(source.Get(t0 + base::seconds(62)), "three") << "one reading for one refusal";
  std::filesystem::remove(dir_ / "token");
  source.Refused();
  EXPECT_EQ(source.Get(t0 + base::seconds(200)), "three");
}

}  // namespace
}  // namespace fairlead::kube
