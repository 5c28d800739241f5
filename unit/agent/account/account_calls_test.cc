// API requests under a grant, and under none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/account/account.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AccountCallsTest : public ::testing::Test, public AccountHost {
 protected:
  AccountCallsTest()
      : account_(Options(),
                 std::make_unique<fakes::MemoryTransport>(
                     [this](const net::HttpRequest& request, const auto&) {
                       if (request.target.starts_with("/call")) sent_.push_back(request.target);
                     },
                     &loop_),
                 this, &loop_) {}
  static AccountOptions Options() {
    AccountOptions options;
    options.name = "prod";
    return options;
  }
  void OnClaim(const v1::Claim&) override {}
  bool MaySend() override { return true; }
  void SendBatch(v1::Batch) override {}
  void AskSnapshot(v1::SnapshotAsk) override {}
  void SendStatus(v1::AccountStatus) override {}

  void Grant(uint64_t term) {
    v1::Grant grant;
    grant.set_account_uid(uid_);
    grant.set_term(term);
    account_.OnGrant(grant);
  }
  void Call(const std::string& target, const std::string& uid, uint64_t term) {
    v1::ApiRequest request;
    request.set_account_uid(uid);
    request.set_term(term);
    request.set_method("POST");
    request.set_target(target);
    account_.StartApiCall(++calls_, request, "",
                          {[](const v1::ApiHead&) {}, [](const std::string&) {},
                           [this](const absl::Status& why) { ends_.push_back(why); }});
    loop_.Run();
  }

  const std::string uid_ = std::string(16, 'u');
  fakes::ManualLoop loop_;
  std::vector<std::string> sent_;
  std::vector<absl::Status> ends_;
  uint64_t calls_ = 0;
  Account account_;
};

TEST_F(AccountCallsTest, ARequestGoesOnlyUnderTheGrantItIsOf) {
  Call("/call/without", uid_, 3);
  Grant(3);
  Call("/call/before", uid_, 2);
  Call("/call/other", std::string(16, 'o'), 3);
  EXPECT_THAT(sent_, IsEmpty());
  const absl::Status not_ours = absl::UnavailableError("the account is another agent's by now");
  EXPECT_THAT(ends_, ElementsAre(not_ours, not_ours, not_ours));
  Call("/call/now", uid_, 3);
  EXPECT_THAT(sent_, ElementsAre("/call/now"));
  account_.OnRevoke(3, "for a test");
  Call("/call/revoked", uid_, 3);
  EXPECT_THAT(sent_, ElementsAre("/call/now"));
}

}  // namespace
}  // namespace fairlead::agent
