#include <gmock/gmock.h>

#include "endpoint/registry/registry.h"
#include "unit/endpoint/store/store_scene.h"

// Bearer tokens of accounts: each is of one account, for its time, until it is revoked.
namespace fairlead::endpoint::store {
namespace {

using ::testing::Eq;
using ::testing::Optional;
using ::testing::SizeIs;

class AccountTokensTest : public StoreScene {
 protected:
  AccountTokensTest() : reader_(*store_->OpenReader()) {}
  U128 Put(const std::string& name) {
    registry::PutRequest put;
    put.name = name;
    put.owner = "rest";
    put.spec_json = R"({"identities":["i"],"access":{"level":"Cluster"}})";
    return registry::Registry(store_.get(), nullptr).Put(put)->uid;
  }
  std::optional<U128> Of(const std::string& name, const std::string& token) {
    const auto found = reader_->AccountOfToken(name, token, clock_.WallMs());
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }
  const std::unique_ptr<Reader> reader_;
};

TEST_P(AccountTokensTest, ATokenIsOfItsOwnAccountOnly) {
  const U128 prod = Put("prod");
  const U128 test = Put("test");
  const std::string token = *store_->CreateAccountToken(prod, "kubectl", {});
  const std::string other = *store_->CreateAccountToken(test, "kubectl", {});
  EXPECT_GE(token.size(), 64U);
  EXPECT_THAT(Of("prod", token), Optional(Eq(prod)));
  EXPECT_THAT(Of("test", other), Optional(Eq(test)));
  EXPECT_FALSE(Of("test", token).has_value());
  EXPECT_FALSE(Of("prod", other).has_value());
  EXPECT_FALSE(Of("Prod", token).has_value()) << "names differ by case";
  EXPECT_FALSE(Of("prod", "").has_value());
  EXPECT_FALSE(Of("prod", token.substr(0, token.size() - 1)).has_value());
  EXPECT_FALSE(Of("none", token).has_value());
}

TEST_P(AccountTokensTest, TwoOverlapUntilTheFirstIsRevoked) {
  const U128 prod = Put("prod");
  const std::string first = *store_->CreateAccountToken(prod, "a", {});
  EXPECT_EQ(store_->CreateAccountToken(prod, "a", {}).status().code(),
            absl::StatusCode::kAlreadyExists);
  const std::string second = *store_->CreateAccountToken(prod, "b", {});
  EXPECT_TRUE(Of("prod", first).has_value() && Of("prod", second).has_value());
  EXPECT_TRUE(*store_->RevokeAccountToken(prod, "a"));
  EXPECT_FALSE(*store_->RevokeAccountToken(prod, "a"));
  EXPECT_FALSE(Of("prod", first).has_value());
  EXPECT_TRUE(Of("prod", second).has_value());
  const auto left = *reader_->AccountTokens(prod);
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].name, "b");
  EXPECT_EQ(left[0].expires_ms, 0);
}

TEST_P(AccountTokensTest, ATokenEndsWithItsTimeAndWithItsAccount) {
  const U128 prod = Put("prod");
  const std::string token = *store_->CreateAccountToken(prod, "short", base::seconds(60));
  const std::string stays = *store_->CreateAccountToken(prod, "long", {});
  clock_.Advance(base::seconds(59));
  EXPECT_TRUE(Of("prod", token).has_value());
  clock_.Advance(base::seconds(2));
  EXPECT_FALSE(Of("prod", token).has_value());
  EXPECT_TRUE(Of("prod", stays).has_value());
  ASSERT_TRUE(registry::Registry(store_.get(), nullptr).Delete("prod", prod, "rest").ok());
  EXPECT_FALSE(Of("prod", stays).has_value());
  Put("prod");
  EXPECT_FALSE(Of("prod", stays).has_value()) << "another account of the same name";
}

INSTANTIATE_STORE_SUITE(AccountTokensTest);

}  // namespace
}  // namespace fairlead::endpoint::store
