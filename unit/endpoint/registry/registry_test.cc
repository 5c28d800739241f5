#include "endpoint/registry/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lib/base/strings.h"

namespace fairlead::endpoint::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kSpec[] = R"({"identities":["agent"],"access":{"level":"Cluster"}})";

class RegistryTest : public ::testing::Test, public Listener {
 protected:
  RegistryTest()
      : dir_(std::filesystem::temp_directory_path() /
             ("registry_test." + std::to_string(getpid()))) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    store_ = *store::Store::Open({.sqlite_path = dir_ / "test.db"}, &clock_);
    registry_ = std::make_unique<Registry>(store_.get(), this);
  }
  ~RegistryTest() override {
    registry_.reset();
    store_.reset();
    std::filesystem::remove_all(dir_);
  }
  void OnAccountPut(const Account& account) override { heard_.push_back("+" + account.name); }
  void OnAccountDeleted(const base::U128&, const std::string& name) override {
    heard_.push_back("-" + name);
  }
  static PutRequest Request(int64_t generation, const std::string& owner_uid = "u1") {
    PutRequest put;
    put.name = "prod-eu1";
    put.owner = "hub/team-a/prod";
    put.owner_uid = owner_uid;
    put.generation = generation;
    put.spec_json = kSpec;
    return put;
  }

  std::filesystem::path dir_;
  base::ManualClock clock_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Registry> registry_;
  std::vector<std::string> heard_;
};

TEST_F(RegistryTest, APutIsFoundWithItsShardAndItsListenerHears) {
  const auto put = registry_->Put(Request(1));
  ASSERT_TRUE(put.ok()) << put.status().ToString();
  EXPECT_EQ(put->hash, base::Sha256Hex(kSpec));
  const auto got = registry_->Get("prod-eu1");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->uid, put->uid);
  EXPECT_EQ(got->owner, "hub/team-a/prod");
  EXPECT_EQ(got->owner_uid, "u1");
  EXPECT_EQ(got->generation, 1);
  EXPECT_EQ(got->spec_json, kSpec);
  EXPECT_TRUE(got->spec.level_cluster);
  EXPECT_TRUE(store_->GetShard({put->uid, 0}).ok());
  EXPECT_THAT(heard_, ElementsAre("+prod-eu1"));
}

TEST_F(RegistryTest, APutThatChangesNothingIsSilent) {
  const auto first = registry_->Put(Request(1));
  const auto again = registry_->Put(Request(1));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->uid, first->uid);
  EXPECT_THAT(heard_, ElementsAre("+prod-eu1"));
}

TEST_F(RegistryTest, AnotherOwnerGetsTheNameNeitherExactlyNorInOtherLetters) {
  ASSERT_TRUE(registry_->Put(Request(1)).ok());
  PutRequest other = Request(9, "u2");
  other.owner = "hub/team-b/prod";
  other.previous_owner_uid = "u1";  // not a way in for somebody else
  for (const char* name : {"prod-eu1", "PROD-EU1", "Prod-Eu1"}) {
    other.name = name;
    const absl::Status status = registry_->Put(other).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << name;
    EXPECT_THAT(status.ToString(), HasSubstr("hub/team-a/prod"));
  }
  EXPECT_EQ(registry_->Get("prod-eu1")->owner_uid, "u1");
  EXPECT_EQ(registry_->List()->size(), 1U);
}

TEST_F(RegistryTest, NamesAreOneIgnoringCaseAndKeepTheirFirstSpelling) {
  ASSERT_TRUE(registry_->Put(Request(1)).ok());
  PutRequest shouted = Request(2);
  shouted.name = "PROD-EU1";
  ASSERT_TRUE(registry_->Put(shouted).ok());
  EXPECT_EQ(registry_->Get("Prod-EU1")->name, "prod-eu1");
  EXPECT_EQ(registry_->Get("prod-eu1")->generation, 2);
}

TEST_F(RegistryTest, AnOlderGenerationChangesNothing) {
  ASSERT_TRUE(registry_->Put(Request(5)).ok());
  PutRequest late = Request(4);
  late.spec_json = R"({"identities":["other"],"access":{"level":"Cluster"}})";
  EXPECT_EQ(registry_->Put(late).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(registry_->Get("prod-eu1")->generation, 5);
  EXPECT_THAT(registry_->Get("prod-eu1")->spec.identities, ElementsAre("agent"));
}

TEST_F(RegistryTest, AnOwnerMadeAgainTakesOverOnlyByStatingTheOldUid) {
  const auto first = registry_->Put(Request(7, "u1"));
  const absl::Status refused = registry_->Put(Request(1, "u2")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.ToString(), HasSubstr("previousOwnerUid"));
  PutRequest wrong = Request(1, "u2");
  wrong.previous_owner_uid = "u0";
  EXPECT_EQ(registry_->Put(wrong).status().code(), absl::StatusCode::kFailedPrecondition);
  PutRequest right = Request(1, "u2");
  right.previous_owner_uid = "u1";
  const auto taken = registry_->Put(right);
  ASSERT_TRUE(taken.ok()) << taken.status().ToString();
  EXPECT_EQ(taken->uid, first->uid) << "the rows stay";
  EXPECT_EQ(registry_->Get("prod-eu1")->generation, 1) << "the generation starts anew";
  EXPECT_EQ(registry_->Put(Request(8, "u1")).status().code(), absl::StatusCode::kFailedPrecondition)
      << "the old owner is out";
}

TEST_F(RegistryTest, ADeleteNeedsTheAccountsUidAndItsOwner) {
  const auto account = registry_->Put(Request(1));
  EXPECT_EQ(registry_->Delete("prod-eu1", base::U128{1, 2}, "hub/team-a/prod").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(registry_->Delete("prod-eu1", account->uid, "hub/team-b/prod").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(registry_->Get("prod-eu1").ok());
  EXPECT_TRUE(registry_->Delete("Prod-EU1", account->uid, "hub/team-a/prod").ok());
  EXPECT_EQ(registry_->Get("prod-eu1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(registry_->Delete("prod-eu1", account->uid, "hub/team-a/prod").code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(*registry_->List(), IsEmpty());
  EXPECT_THAT(heard_, ElementsAre("+prod-eu1", "-prod-eu1"));
}

TEST_F(RegistryTest, ADeletedNameIsFreeForAnybodyAndKeepsItsUid) {
  const auto account = registry_->Put(Request(5));
  ASSERT_TRUE(registry_->Delete("prod-eu1", account->uid, "hub/team-a/prod").ok());
  PutRequest other = Request(1, "u2");
  other.owner = "hub/team-b/prod";
  other.name = "Prod-EU1";
  const auto again = registry_->Put(other);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->uid, account->uid);
  EXPECT_EQ(registry_->Get("prod-eu1")->name, "Prod-EU1");
  EXPECT_EQ(registry_->Get("prod-eu1")->owner, "hub/team-b/prod");
}

TEST_F(RegistryTest, BadNamesAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("-a"), std::string("a.b"), std::string("a/b"), std::string("ä"),
        std::string("a b"), std::string(64, 'a'), std::string("a\0b", 3)}) {
    PutRequest put = Request(1);
    put.name = name;
    EXPECT_EQ(registry_->Put(put).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_THAT(heard_, IsEmpty());
}

}  // namespace
}  // namespace fairlead::endpoint::registry
