#include "endpoint/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/strings.h"

namespace fairlead::endpoint {
namespace {

using ::testing::HasSubstr;

constexpr char kGood[] = R"(
dataDir: /var/lib/fairlead
tls: {certificateFile: a, keyFile: b, caFile: c, issuerCertificateFile: d, issuerKeyFile: e}
tokens:
  - {name: ci, role: viewer, sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}
limits: {flushDelayMs: 5}
)";

std::string ErrorOf(std::string yaml, std::string_view from, std::string_view to) {
  const size_t at = yaml.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  const auto config = ParseConfig(yaml.replace(at, from.size(), to), "endpoint.yaml");
  EXPECT_FALSE(config.ok());
  return std::string(base::View(config.status().message()));
}

TEST(EndpointConfig, ReadsAFileAndFillsDefaults) {
  const auto config = ParseConfig(kGood, "endpoint.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->agents_address, "0.0.0.0:9443");
  EXPECT_EQ(config->flush_delay_ms, 5);
  ASSERT_EQ(config->tokens.size(), 1u);
  EXPECT_EQ(config->tokens[0].role, "viewer");
}

TEST(EndpointConfig, ErrorsNameTheKeyAndTheNextStep) {
  EXPECT_THAT(ErrorOf(kGood, "dataDir", "datadir"),
              HasSubstr("datadir: unknown key; did you mean \"dataDir\"?"));
  EXPECT_THAT(ErrorOf(kGood, "flushDelayMs", "flushDelay"),
              HasSubstr("limits.flushDelay: unknown key; did you mean \"flushDelayMs\"?"));
  EXPECT_THAT(ErrorOf(kGood, ", issuerKeyFile: e", ""), HasSubstr("fairlead-endpoint init"));
  EXPECT_THAT(ErrorOf(kGood, "viewer", "root"), HasSubstr("tokens[0].role: must be admin"));
  EXPECT_THAT(ErrorOf(kGood, "ba7816", "BA7816"), HasSubstr("tokens[0].sha256"));
}

TEST(EndpointConfig, ADatabaseOfItsOwnNeedsNoFolder) {
  const std::string url = "database: {url: \"postgresql://u@h/d\", passwordFile: /p}";
  std::string yaml = kGood;
  yaml.replace(yaml.find("dataDir: /var/lib/fairlead"), 26, url);
  const auto config = ParseConfig(yaml, "endpoint.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->database_url, "postgresql://u@h/d");
  EXPECT_EQ(config->database_password_file, "/p");
  EXPECT_THAT(ErrorOf(kGood, "dataDir: /var/lib/fairlead", ""),
              HasSubstr("dataDir: is required without database.url"));
  EXPECT_THAT(ErrorOf(yaml, "postgresql:", "oracle:"),
              HasSubstr("database.url: must begin with postgresql:// or mariadb://"));
  EXPECT_THAT(ErrorOf(kGood, "tokens", "database: {passwordFile: p}\ntokens"),
              HasSubstr("database.passwordFile: is for database.url"));
}

TEST(EndpointConfig, PlaintextIsRefusedForAnythingButLoopback) {
  EXPECT_THAT(ErrorOf(kGood, "dataDir", "allowPlaintextLoopback: true\ndataDir"),
              HasSubstr("loopback addresses only"));
  EXPECT_TRUE(
      ParseConfig("dataDir: d\nallowPlaintextLoopback: true\nagents: {address: \"127.0.0.1:0\"}\n"
                  "rest: {address: \"127.0.0.1:0\"}\n",
                  "x")
          .ok());
}

}  // namespace
}  // namespace fairlead::endpoint
