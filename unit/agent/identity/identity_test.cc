// IdentityKeeper: enrolment, renewal, the directory and the shared Secret, on a simulated clock.
#include "agent/identity/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/config_reader.h"
#include "lib/net/x509.h"
#include "unit/agent/identity/fake_secret.h"
#include "unit/fakes/manual_loop.h"

namespace fairlead::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kLife = 90 * 86400;

// Signs what it is asked to, or refuses.
class FakeAuthority {
 public:
  FakeAuthority() {
    net::CertificateSpec ca;
    ca.common_name = "ca";
    ca.ca = true;
    ca.lifetime_seconds = 10 * kLife;
    ca_ = *net::SelfSigned(ca);
  }
  static net::CertificateSpec Leaf() {
    net::CertificateSpec spec;
    spec.common_name = "prod-eu1";
    spec.client = true;
    spec.lifetime_seconds = kLife;
    return spec;
  }
  absl::StatusOr<v1::EnrollResponse> Answer(const v1::EnrollRequest& request) {
    asked.push_back(request.current_certificate() ? "renew" : "token " + request.token());
    if (!refusal.ok()) return refusal;
    v1::EnrollResponse response;
    response.set_certificate_pem(other_key ? net::Issue(Leaf(), ca_)->certificate_pem
                                           : *net::SignRequest(request.csr_pem(), Leaf(), ca_));
    return response;
  }
  net::KeyAndCertificate Pair(int64_t lifetime = kLife) {
    net::CertificateSpec spec = Leaf();
    spec.lifetime_seconds = lifetime;
    return *net::Issue(spec, ca_);
  }
  std::vector<std::string> asked;
  absl::Status refusal;
  bool other_key = false;

 private:
  net::KeyAndCertificate ca_;
};

class FakeChannel : public wire::AgentChannel {
 public:
  FakeChannel(FakeAuthority* authority, base::Loop* loop) : authority_(authority), loop_(loop) {}
  std::unique_ptr<wire::StreamSender<v1::ControlUp>> OpenControl(
      wire::StreamHandler<v1::ControlDown>*) override {
    return nullptr;
  }
  std::unique_ptr<wire::StreamSender<v1::ChangesUp>> OpenChanges(
      wire::StreamHandler<v1::ChangesDown>*) override {
    return nullptr;
  }
  std::unique_ptr<wire::StreamSender<v1::ExchangeUp>> OpenExchange(
      wire::StreamHandler<v1::ExchangeDown>*) override {
    return nullptr;
  }
  void Enroll(const v1::EnrollRequest& request,
              std::function<void(absl::StatusOr<v1::EnrollResponse>)> done) override {
    loop_->Post([answer = authority_->Answer(request), done] { done(answer); });
  }

 private:
  FakeAuthority* authority_;
  base::Loop* loop_;
};

// A clock at the certificates' own time.
class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest()
      : dir_(std::filesystem::temp_directory_path() /
             ("identity_test." + std::to_string(getpid()))) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    loop_.Advance(base::milliseconds(base::Clock::Real().WallMs() - loop_.clock().WallMs()));
    config_.endpoints = {"one:1", "two:2"};
    config_.identity.name = "prod-eu1";
    config_.identity.dir = dir_ / "identity";
    config_.identity.token_file = dir_ / "token";
    Write("token", "secret-token\n");
  }
  ~IdentityTest() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name) << text;
  }
  void WritePair(const net::KeyAndCertificate& pair) {
    Write("identity/tls.key", pair.key_pem);
    Write("identity/tls.crt", pair.certificate_pem);
  }
  std::string Stored(const std::string& name) {
    return base::ReadFile(dir_ / "identity" / name).value_or("");
  }
  template <typename Predicate>
  bool Within(base::Duration most, Predicate&& wanted) {
    for (; most > base::Duration::zero() && !wanted(); most -= base::seconds(10)) {
      loop_.Advance(base::seconds(10));
    }
    return wanted();
  }
  std::unique_ptr<IdentityKeeper> Start(std::unique_ptr<SharedSecret> secret = nullptr) {
    auto keeper = std::make_unique<IdentityKeeper>(
        config_, "bundle",
        [this](const std::string& target, const Credentials& shown) {
          targets_.push_back(target + (shown.certificate_pem.empty() ? "" : " with certificate"));
          return std::make_unique<FakeChannel>(&authority_, &loop_);
        },
        [this](const Credentials& given) { given_.push_back(given); }, std::move(secret), &loop_);
    keeper->Start();
    loop_.Run();
    return keeper;
  }

  std::filesystem::path dir_;
  fakes::ManualLoop loop_;
  FakeAuthority authority_;
  FakeSecret shared_{&loop_};
  Config config_;
  std::vector<std::string> targets_;
  std::vector<Credentials> given_;
};

TEST_F(IdentityTest, WithoutACertificateTheTokenEnrolsAndThePairIsStoredForItsOwnerOnly) {
  const auto keeper = Start();
  EXPECT_THAT(authority_.asked, ElementsAre("token secret-token"));
  EXPECT_THAT(targets_, ElementsAre("one:1"));
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_TRUE(net::KeyFits(given_[0].key_pem, given_[0].certificate_pem));
  EXPECT_EQ(given_[0].trust_bundle, "bundle");
  EXPECT_EQ(Stored("tls.key"), given_[0].key_pem);
  EXPECT_EQ(Stored("tls.crt"), given_[0].certificate_pem);
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "identity/tls.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(IdentityTest, AStoredPairIsUsedAndNobodyIsAsked) {
  const net::KeyAndCertificate pair = authority_.Pair();
  WritePair(pair);
  const auto keeper = Start();
  EXPECT_THAT(authority_.asked, IsEmpty());
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_EQ(given_[0].certificate_pem, pair.certificate_pem);
}

TEST_F(IdentityTest, AnExpiredBrokenOrForeignPairIsReplacedByEnrolment) {
  const net::KeyAndCertificate good = authority_.Pair();
  const net::KeyAndCertificate expired = authority_.Pair(1);
  loop_.Advance(base::seconds(10));
  for (const net::KeyAndCertificate& pair :
       {expired, net::KeyAndCertificate{good.key_pem, "nonsense"},
        net::KeyAndCertificate{authority_.Pair().key_pem, good.certificate_pem},
        net::KeyAndCertificate{"", good.certificate_pem}}) {
    authority_.asked.clear();
    given_.clear();
    WritePair(pair);
    const auto keeper = Start();
    EXPECT_THAT(authority_.asked, ElementsAre("token secret-token"));
    EXPECT_EQ(given_.size(), 1U);
  }
}

// The states of the directory between the steps of storing a renewed pair.
TEST_F(IdentityTest, ACrashWhileStoringLeavesAPairThatFits) {
  const net::KeyAndCertificate old = authority_.Pair();
  const net::KeyAndCertificate fresh = authority_.Pair();
  WritePair(old);
  Write("identity/tls.key.new", fresh.key_pem);
  (void)Start();
  Write("identity/tls.crt.new", fresh.certificate_pem);
  (void)Start();
  std::filesystem::rename(dir_ / "identity/tls.crt.new", dir_ / "identity/tls.crt");
  (void)Start();
  (void)Start();
  EXPECT_THAT(authority_.asked, IsEmpty());
  ASSERT_EQ(given_.size(), 4U);
  EXPECT_EQ(given_[0].key_pem, old.key_pem);
  EXPECT_EQ(given_[1].key_pem, old.key_pem);
  EXPECT_EQ(given_[2].key_pem, fresh.key_pem);
  EXPECT_EQ(given_[2].certificate_pem, fresh.certificate_pem);
  EXPECT_EQ(Stored("tls.key"), fresh.key_pem) << "what was interrupted is finished";
  EXPECT_EQ(Stored("tls.key.new"), "");
}

// The certificate goes first: its key is beside it under another name until that has gone, too.
TEST_F(IdentityTest, ARenewalThatStopsBetweenItsTwoRenamesIsFinishedByTheNextStart) {
  WritePair(authority_.Pair(3600));
  const auto keeper = Start();
  std::filesystem::remove(dir_ / "identity/tls.key");
  std::filesystem::create_directory(dir_ / "identity/tls.key");  // nothing can be renamed to it
  ASSERT_TRUE(Within(base::hours(1), [&] { return given_.size() == 2; }));
  std::filesystem::remove(dir_ / "identity/tls.key");
  authority_.asked.clear();
  (void)Start();
  EXPECT_THAT(authority_.asked, IsEmpty());
  ASSERT_EQ(given_.size(), 3U);
  EXPECT_EQ(given_[2].key_pem, given_[1].key_pem);
  EXPECT_EQ(given_[2].certificate_pem, given_[1].certificate_pem);
}

TEST_F(IdentityTest, WhatExpiredWhileItCouldNotBeRenewedIsReplacedWithANewToken) {
  WritePair(authority_.Pair(3600));
  const auto keeper = Start();
  authority_.refusal = absl::UnavailableError("down");
  loop_.Advance(base::minutes(50));
  EXPECT_EQ(authority_.asked.back(), "renew");
  loop_.Advance(base::minutes(20));
  EXPECT_EQ(given_.size(), 1U);
  Write("token", "another");
  authority_.refusal = absl::OkStatus();
  EXPECT_TRUE(Within(base::minutes(2), [&] { return given_.size() == 2; }));
  EXPECT_EQ(authority_.asked.back(), "token another");
}

TEST_F(IdentityTest, ARefusalIsTriedAgainWithBackoffAtTheOtherAddresses) {
  authority_.refusal = absl::PermissionDeniedError("spent");
  const auto keeper = Start();
  EXPECT_THAT(given_, IsEmpty());
  loop_.Advance(base::minutes(10));
  const size_t tries = authority_.asked.size();
  EXPECT_GE(tries, 8U);
  EXPECT_LE(tries, 60U) << "about once a minute, in the end";
  EXPECT_EQ(targets_[0], "one:1");
  EXPECT_EQ(targets_[1], "two:2");
  authority_.refusal = absl::OkStatus();
  loop_.Advance(base::minutes(2));
  EXPECT_EQ(given_.size(), 1U);
}

TEST_F(IdentityTest, ATokenThatIsNotThereYetIsWaitedFor) {
  std::filesystem::remove(dir_ / "token");
  const auto keeper = Start();
  EXPECT_THAT(authority_.asked, IsEmpty());
  Write("token", "late");
  loop_.Advance(base::minutes(2));
  EXPECT_THAT(authority_.asked, ElementsAre("token late"));
  EXPECT_EQ(given_.size(), 1U);
}

TEST_F(IdentityTest, ACertificateForAnotherKeyIsNotTaken) {
  authority_.other_key = true;
  const auto keeper = Start();
  EXPECT_THAT(authority_.asked, ElementsAre("token secret-token"));
  EXPECT_THAT(given_, IsEmpty());
  EXPECT_EQ(Stored("tls.crt"), "");
  authority_.other_key = false;
  EXPECT_TRUE(Within(base::minutes(2), [&] { return given_.size() == 1; }));
}

TEST_F(IdentityTest, ItRenewsAtTwoThirdsOfTheLifeWithTheCertificateItself) {
  const auto keeper = Start();
  loop_.Advance(base::seconds(kLife * 2 / 3 - 3600));
  EXPECT_EQ(authority_.asked.size(), 1U);
  EXPECT_TRUE(Within(base::hours(2), [&] { return authority_.asked.size() > 1; }));
  EXPECT_THAT(authority_.asked, ElementsAre("token secret-token", "renew"));
  EXPECT_EQ(targets_.back(), "two:2 with certificate");
  ASSERT_EQ(given_.size(), 2U);
  EXPECT_NE(given_[1].key_pem, given_[0].key_pem);
  EXPECT_EQ(Stored("tls.key"), given_[1].key_pem);
}

TEST_F(IdentityTest, ACertificateThatIsDueAtOnceIsRenewedOnceAMinuteAndNotInALoop) {
  const auto keeper = Start();
  // What is signed from here on began, by this clock, long ago.
  loop_.Advance(base::seconds(kLife * 2 / 3 - 3600));
  EXPECT_TRUE(Within(base::hours(2), [&] { return authority_.asked.size() > 1; }));
  loop_.Advance(base::minutes(10));
  EXPECT_LE(authority_.asked.size(), 12U);
  EXPECT_GE(authority_.asked.size(), 11U);
}

TEST_F(IdentityTest, AFailedRenewalKeepsTheOldCertificateAndGoesOn) {
  const auto keeper = Start();
  authority_.refusal = absl::UnavailableError("down");
  loop_.Advance(base::seconds(kLife * 2 / 3 + 7200));
  ASSERT_GT(authority_.asked.size(), 1U);
  EXPECT_EQ(authority_.asked.back(), "renew");
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_EQ(Stored("tls.crt"), given_[0].certificate_pem);
  authority_.refusal = absl::OkStatus();
  EXPECT_TRUE(Within(base::minutes(2), [&] { return given_.size() == 2; }));
}

TEST_F(IdentityTest, TheFirstReplicaEnrolsAndStoresInTheSecret) {
  const auto keeper = Start(shared_.Open());
  EXPECT_THAT(authority_.asked, ElementsAre("token secret-token"));
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_EQ(shared_.pair().certificate_pem, given_[0].certificate_pem);
  EXPECT_EQ(shared_.pair().key_pem, given_[0].key_pem);
}

TEST_F(IdentityTest, TheNextReplicaUsesWhatIsInTheSecret) {
  const net::KeyAndCertificate pair = authority_.Pair();
  shared_.Set({pair.key_pem, pair.certificate_pem});
  const auto keeper = Start(shared_.Open());
  EXPECT_THAT(authority_.asked, IsEmpty());
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_EQ(given_[0].certificate_pem, pair.certificate_pem);
}

TEST_F(IdentityTest, WhoLosesTheRaceTakesTheWinnersCertificate) {
  const net::KeyAndCertificate winner = authority_.Pair();
  shared_.BeforeWrite([&] { shared_.Set({winner.key_pem, winner.certificate_pem}); });
  const auto keeper = Start(shared_.Open());
  EXPECT_THAT(authority_.asked, ElementsAre("token secret-token")) << "it was in the race";
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_EQ(given_[0].certificate_pem, winner.certificate_pem);
  EXPECT_EQ(shared_.pair().certificate_pem, winner.certificate_pem);
}

TEST_F(IdentityTest, AtRenewalTheOtherReplicasRenewedCertificateIsEnough) {
  const net::KeyAndCertificate old = authority_.Pair();
  shared_.Set({old.key_pem, old.certificate_pem});
  const auto keeper = Start(shared_.Open());
  const net::KeyAndCertificate renewed = authority_.Pair();
  shared_.Set({renewed.key_pem, renewed.certificate_pem});
  loop_.Advance(base::seconds(kLife * 2 / 3 - 3600));
  EXPECT_TRUE(Within(base::hours(2), [&] { return given_.size() == 2; }));
  EXPECT_THAT(authority_.asked, IsEmpty());
  ASSERT_EQ(given_.size(), 2U);
  EXPECT_EQ(given_[1].certificate_pem, renewed.certificate_pem);
}

TEST_F(IdentityTest, ASecretThatCannotBeReadIsTriedAgainAndTheTokenIsNotSpent) {
  shared_.set_code(503);
  const auto keeper = Start(shared_.Open());
  loop_.Advance(base::minutes(5));
  EXPECT_THAT(authority_.asked, IsEmpty());
  EXPECT_THAT(given_, IsEmpty());
  shared_.set_code(0);
  loop_.Advance(base::minutes(2));
  EXPECT_THAT(authority_.asked, ElementsAre("token secret-token"));
  EXPECT_EQ(given_.size(), 1U);
}

TEST_F(IdentityTest, ASecretThatCannotBeWrittenStillLetsTheAgentWork) {
  shared_.set_write_code(403);
  const auto keeper = Start(shared_.Open());
  EXPECT_EQ(shared_.last().method, "PATCH") << "it was tried";
  EXPECT_EQ(given_.size(), 1U);
}

}  // namespace
}  // namespace fairlead::agent
