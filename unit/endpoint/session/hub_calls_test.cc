// API requests from the hub to an agent's Exchange streams and back, both ends as they are.
#include "agent/uplink/exchanges.h"
#include "unit/endpoint/session/hub_scene.h"

namespace fairlead::endpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Answer : ApiListener {
  void OnHead(const v1::ApiHead& head) override { status = static_cast<int>(head.status()); }
  void OnData(std::string more) override { data += more; }
  void OnEnd(const absl::Status& how) override { end = how; }
  int status = 0;
  std::string data;
  std::optional<absl::Status> end;
};

class HubCallsTest : public HubScene {
 protected:
  // What reached the agent, with the ear of who asked.
  struct Taken {
    v1::ApiRequest request;
    std::string body;
    agent::ApiAnswer* answer = nullptr;
    uint64_t credit = 0;
    bool cancelled = false;
  };
  struct Call : agent::ApiCall {
    explicit Call(Taken* taken) : taken(taken) {}
    ~Call() override { taken->cancelled = true; }
    void Credit(uint64_t total) override { taken->credit = total; }
    Taken* taken;
  };

  HubCallsTest() : agent_(Holder()) { OpenExchanges(agent_->session_id()); }
  ~HubCallsTest() override { exchanges_.reset(); }

  void OpenExchanges(const std::string& session, const std::string& identity = "agent") {
    exchanges_.reset();
    channel_ = network_.Connect({.identity = identity, .address = "one"});
    exchanges_ = std::make_unique<agent::Exchanges>(
        channel_.get(), session,
        [this](const v1::ApiRequest& request, std::string body, agent::ApiAnswer* answer) {
          taken_.push_back(std::make_unique<Taken>(Taken{request, std::move(body), answer}));
          return std::make_unique<Call>(taken_.back().get());
        },
        &loop_);
    loop_.Run();
  }
  std::shared_ptr<Answer> Ask(const std::string& target, std::string body = "") {
    auto answer = std::make_shared<Answer>();
    last_ = hub_->StartCall({0, 1}, {"POST", target, {{"accept", "x/y"}}, std::move(body), 1000},
                            answer);
    loop_.Run();
    return answer;
  }
  static v1::ApiHead Head(uint32_t status) {
    v1::ApiHead head;
    head.set_status(status);
    return head;
  }

  std::unique_ptr<TestAgent> agent_;
  std::unique_ptr<wire::AgentChannel> channel_;
  std::vector<std::unique_ptr<Taken>> taken_;
  std::unique_ptr<agent::Exchanges> exchanges_;
  uint64_t last_ = 0;
};

TEST_F(HubCallsTest, ARequestReachesTheHolderAndItsAnswerTheAsker) {
  const auto answer = Ask("/api/v1/pods?limit=5", std::string(200'000, 'b'));
  ASSERT_THAT(taken_, SizeIs(1));
  EXPECT_EQ(taken_[0]->request.method(), "POST");
  EXPECT_EQ(taken_[0]->request.target(), "/api/v1/pods?limit=5");
  EXPECT_EQ(taken_[0]->request.headers(0).name(), "accept");
  EXPECT_EQ(taken_[0]->request.term(), agent_->grant()->term());
  EXPECT_EQ(taken_[0]->request.account_uid(), agent_->grant()->account_uid());
  EXPECT_EQ(taken_[0]->request.credit(), 1000U);
  EXPECT_EQ(taken_[0]->body, std::string(200'000, 'b'));
  taken_[0]->answer->OnHead(Head(201));
  taken_[0]->answer->OnData("ab");
  hub_->CreditCall(last_, 5000);
  taken_[0]->answer->OnData("c");
  loop_.Run();
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->data, "abc");
  EXPECT_EQ(taken_[0]->credit, 5000U);
  EXPECT_FALSE(answer->end.has_value());
  taken_[0]->answer->OnEnd(absl::OkStatus());
  loop_.Run();
  EXPECT_EQ(answer->end, absl::OkStatus());
}

TEST_F(HubCallsTest, ManyAtATimeEachHaveTheirOwnStream) {
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(Ask("/api/" + std::to_string(i)));
  ASSERT_THAT(taken_, SizeIs(50));
  for (int i = 49; i >= 0; --i) {
    taken_[static_cast<size_t>(i)]->answer->OnHead(Head(200));
    taken_[static_cast<size_t>(i)]->answer->OnData(
        taken_[static_cast<size_t>(i)]->request.target());
    taken_[static_cast<size_t>(i)]->answer->OnEnd(absl::OkStatus());
  }
  loop_.Run();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(answers[static_cast<size_t>(i)]->data, "/api/" + std::to_string(i));
    EXPECT_EQ(answers[static_cast<size_t>(i)]->end, absl::OkStatus());
  }
}

TEST_F(HubCallsTest, AnErrorOfTheAgentsIsTheAskers) {
  const auto answer = Ask("/api");
  taken_.at(0)->answer->OnEnd(absl::DeadlineExceededError("no answer in 70 s"));
  loop_.Run();
  EXPECT_EQ(answer->end, absl::DeadlineExceededError("no answer in 70 s"));
}

TEST_F(HubCallsTest, ACallNobodyWaitsForIsCancelledInTheAgent) {
  const auto answer = Ask("/api");
  hub_->CancelCall(last_);
  loop_.Run();
  EXPECT_TRUE(taken_.at(0)->cancelled);
  EXPECT_FALSE(answer->end.has_value());
}

TEST_F(HubCallsTest, WithTheSessionEveryCallEnds) {
  const auto running = Ask("/api");
  taken_.at(0)->answer->OnHead(Head(200));
  loop_.Run();
  agent_->Leave();
  loop_.Run();
  ASSERT_TRUE(running->end.has_value());
  EXPECT_EQ(running->end->code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(taken_[0]->cancelled);
  EXPECT_EQ(Ask("/api")->end, absl::UnavailableError("no agent of the account is connected"));
}

TEST_F(HubCallsTest, WithoutAStreamACallWaitsTenSeconds) {
  exchanges_.reset();
  loop_.Run();
  const auto late = Ask("/api/late");
  loop_.Advance(seconds(5));
  agent_->Beat();
  loop_.Advance(seconds(6));
  EXPECT_EQ(late->end, absl::UnavailableError("the account's agent takes no request"));
  const auto waits = Ask("/api/waits");
  OpenExchanges(agent_->session_id());
  ASSERT_THAT(taken_, SizeIs(1));
  EXPECT_EQ(taken_[0]->request.target(), "/api/waits");
  EXPECT_FALSE(waits->end.has_value());
}

TEST_F(HubCallsTest, AnAgentOfBeforeIsAskedForNothing) {
  exchanges_.reset();
  agent_->Leave();
  const auto old = Connect("old");
  old->Claim("prod");
  ASSERT_NE(old->grant(), nullptr);
  const auto answer = Ask("/api");
  EXPECT_EQ(answer->end, absl::UnavailableError(
                             "the account's agent, version , takes no API requests; update it"));
}

TEST_F(HubCallsTest, AStreamOfAnotherIdentityTakesNoCall) {
  exchanges_.reset();
  loop_.Run();
  OpenExchanges(agent_->session_id(), "thief");
  Ask("/api/secret");
  EXPECT_THAT(taken_, IsEmpty());
}

TEST_F(HubCallsTest, ABodyBeyondTheLimitIsNotTaken) {
  const auto answer = Ask("/api", std::string(agent::Exchanges::kMaxApiBody + 1, 'b'));
  ASSERT_TRUE(answer->end.has_value());
  EXPECT_EQ(answer->end->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(taken_, IsEmpty());
}

}  // namespace
}  // namespace fairlead::endpoint
