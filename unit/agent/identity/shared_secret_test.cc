#include "agent/identity/shared_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/agent/identity/fake_secret.h"
#include "unit/fakes/manual_loop.h"

namespace fairlead::agent {
namespace {

using ::testing::HasSubstr;

class SharedSecretTest : public ::testing::Test {
 protected:
  absl::StatusOr<SharedSecret::Pair> Read(SharedSecret* secret) {
    absl::StatusOr<SharedSecret::Pair> pair = absl::UnknownError("no answer");
    secret->Read([&](absl::StatusOr<SharedSecret::Pair> came) { pair = std::move(came); });
    loop_.Run();
    return pair;
  }
  absl::Status Write(SharedSecret* secret, const SharedSecret::Pair& pair) {
    absl::Status status = absl::UnknownError("no answer");
    secret->Write(pair, [&](const absl::Status& came) { status = came; });
    loop_.Run();
    return status;
  }
  fakes::ManualLoop loop_;
  FakeSecret server_{&loop_};
  std::unique_ptr<SharedSecret> secret_ = server_.Open();
};

TEST_F(SharedSecretTest, AnEmptyOneIsReadAsAnEmptyPair) {
  const auto pair = Read(secret_.get());
  ASSERT_TRUE(pair.ok()) << pair.status().ToString();
  EXPECT_EQ(pair->key_pem, "");
  EXPECT_EQ(pair->certificate_pem, "");
  EXPECT_EQ(server_.last().target, "/api/v1/namespaces/fairlead/secrets/identity");
}

TEST_F(SharedSecretTest, WhatOneReplicaWritesTheOtherReads) {
  ASSERT_TRUE(Read(secret_.get()).ok());
  EXPECT_TRUE(Write(secret_.get(), {"key\n", "certificate\n"}).ok());
  EXPECT_EQ(server_.last().method, "PATCH");
  const auto other = server_.Open();
  const auto pair = Read(other.get());
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->key_pem, "key\n");
  EXPECT_EQ(pair->certificate_pem, "certificate\n");
}

TEST_F(SharedSecretTest, AWriteOverSomebodyElsesIsAborted) {
  ASSERT_TRUE(Read(secret_.get()).ok());
  server_.Set({"theirs", "theirs"});
  EXPECT_EQ(Write(secret_.get(), {"mine", "mine"}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(server_.pair().key_pem, "theirs");
}

TEST_F(SharedSecretTest, RefusalsSayWhatWasTried) {
  server_.set_code(503);
  EXPECT_THAT(Read(secret_.get()).status().ToString(), HasSubstr("read the identity Secret"));
  server_.set_code(0);
  server_.set_write_code(403);
  ASSERT_TRUE(Read(secret_.get()).ok());
  EXPECT_THAT(Write(secret_.get(), {"k", "c"}).ToString(), HasSubstr("write the identity Secret"));
}

TEST_F(SharedSecretTest, WhatIsNoObjectIsAnErrorAndWhatCannotBeDecodedIsAbsent) {
  for (const char* body : {"[]", "nonsense", "7", "null", R"({"data":)"}) {
    server_.set_body(body);
    EXPECT_EQ(Read(secret_.get()).status().code(), absl::StatusCode::kUnavailable) << body;
  }
  const std::pair<const char*, SharedSecret::Pair> table[] = {
      {R"({"data":{"tls.key":"aw==","tls.crt":"Yw=="}})", {"k", "c"}},
      {R"({"data":{"tls.key":"%%%","tls.crt":7}})", {"", ""}},
      {R"({"data":[]})", {"", ""}},
      {R"({"metadata":{"resourceVersion":7}})", {"", ""}},
      {R"({"metadata":"x","data":{"tls.crt":"eA=="}})", {"", "x"}},
  };
  for (const auto& [body, wanted] : table) {
    server_.set_body(body);
    const auto pair = Read(secret_.get());
    ASSERT_TRUE(pair.ok()) << body;
    EXPECT_EQ(pair->key_pem, wanted.key_pem) << body;
    EXPECT_EQ(pair->certificate_pem, wanted.certificate_pem) << body;
  }
}

TEST_F(SharedSecretTest, OnceDestroyedItSaysNothing) {
  bool called = false;
  secret_->Read([&](const absl::StatusOr<SharedSecret::Pair>&) { called = true; });
  secret_.reset();
  loop_.Run();
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace fairlead::agent
