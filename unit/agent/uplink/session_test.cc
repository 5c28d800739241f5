#include "agent/uplink/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/wire/fragments.h"
#include "unit/fakes/manual_loop.h"

namespace fairlead::agent {
namespace {

using ::testing::ElementsAre;

// The endpoint's side of one connection, as the test sees it.
struct Connection {
  std::string target;
  wire::StreamHandler<v1::ControlDown>* control = nullptr;
  wire::StreamHandler<v1::ChangesDown>* changes = nullptr;
  std::vector<v1::ControlUp> control_up;
  std::vector<v1::ChangesUp> changes_up;
  bool control_open = false;
};

template <typename Message>
class Sender : public wire::StreamSender<Message> {
 public:
  Sender(std::vector<Message>* out, bool* open) : out_(out), open_(open) {
    if (open_ != nullptr) *open_ = true;
  }
  ~Sender() override {
    if (open_ != nullptr) *open_ = false;
  }
  void Send(Message message) override { out_->push_back(std::move(message)); }

 private:
  std::vector<Message>* out_;
  bool* open_;
};

class Channel : public wire::AgentChannel {
 public:
  explicit Channel(Connection* connection) : connection_(connection) {}
  std::unique_ptr<wire::StreamSender<v1::ControlUp>> OpenControl(
      wire::StreamHandler<v1::ControlDown>* handler) override {
    connection_->control = handler;
    return std::make_unique<Sender<v1::ControlUp>>(&connection_->control_up,
                                                   &connection_->control_open);
  }
  std::unique_ptr<wire::StreamSender<v1::ChangesUp>> OpenChanges(
      wire::StreamHandler<v1::ChangesDown>* handler) override {
    connection_->changes = handler;
    return std::make_unique<Sender<v1::ChangesUp>>(&connection_->changes_up, nullptr);
  }
  std::unique_ptr<wire::StreamSender<v1::ExchangeUp>> OpenExchange(
      wire::StreamHandler<v1::ExchangeDown>*) override {
    return nullptr;
  }
  void Enroll(const v1::EnrollRequest&,
              std::function<void(absl::StatusOr<v1::EnrollResponse>)>) override {}

 private:
  Connection* connection_;
};

class UplinkTest : public ::testing::Test, public UplinkListener {
 protected:
  void Start(std::vector<std::string> endpoints = {"a:1"}) {
    UplinkOptions options;
    options.endpoints = std::move(endpoints);
    uplink_ = std::make_unique<Uplink>(
        options,
        [this](const std::string& target) {
          connections_.push_back(std::make_unique<Connection>());
          connections_.back()->target = target;
          return std::make_unique<Channel>(connections_.back().get());
        },
        this, &loop_);
    uplink_->Start();
  }
  Connection& now() { return *connections_.back(); }
  void Welcome(bool pace = true) {
    v1::ControlDown message;
    if (pace) message.mutable_welcome()->add_features("pace");
    message.mutable_welcome()->set_session_id("session");
    message.mutable_welcome()->set_beat_interval_ms(1000);
    message.mutable_welcome()->set_lease_ms(5000);
    now().control->OnMessage(message);
  }
  void Grant() {
    v1::ControlDown message;
    message.mutable_grant()->set_account_name("prod");
    now().control->OnMessage(message);
  }

  v1::Hello MakeHello() override {
    v1::Hello hello;
    hello.set_instance_id("me");
    return hello;
  }
  void OnWelcome(const v1::Welcome&) override { events_.emplace_back("welcome"); }
  void OnGrant(const v1::Grant&) override { events_.emplace_back("grant"); }
  void OnRevoke(const v1::Revoke&) override { events_.emplace_back("revoke"); }
  void OnRules(const v1::AccountRules&) override { events_.emplace_back("rules"); }
  void OnClaimRefused(const v1::ClaimRefused&) override { events_.emplace_back("refused"); }
  void OnPositions(const v1::Positions&) override { events_.emplace_back("positions"); }
  void OnAck(const v1::Ack&) override { events_.emplace_back("ack"); }
  void OnWant(const v1::Want&) override { events_.emplace_back("want"); }
  void OnAdmit(const v1::SnapshotAdmit&) override { events_.emplace_back("admit"); }
  void OnAuditOrder(const v1::AuditOrder&) override { events_.emplace_back("audit"); }
  void OnSnapshotDone(const v1::SnapshotDone&) override { events_.emplace_back("done"); }
  void OnLost(const std::string&) override { events_.emplace_back("lost"); }
  std::unique_ptr<ApiCall> OnApiRequest(const v1::ApiRequest&, std::string, ApiAnswer*) override {
    return nullptr;
  }
  void OnRoom() override { events_.emplace_back("room"); }

  // As an account's thread does it.
  void SendBatch(size_t bytes) {
    v1::Batch batch;
    batch.set_payload(std::string(bytes, 'x'));
    uplink_->backlog().Add(bytes);
    uplink_->SendBatch(std::move(batch));
  }
  // What went up since the last call: batches and fragments, marks.
  std::pair<size_t, std::vector<uint64_t>> Sent() {
    size_t bytes = 0;
    std::vector<uint64_t> marks;
    for (const v1::ChangesUp& one : now().changes_up) {
      bytes += one.batch().payload().size() + one.fragment().data().size();
      if (one.has_mark()) marks.push_back(one.mark().number());
    }
    now().changes_up.clear();
    return {bytes, marks};
  }
  void Answer(const std::vector<uint64_t>& marks) {
    for (const uint64_t mark : marks) {
      v1::ChangesDown message;
      message.mutable_mark()->set_number(mark);
      now().changes->OnMessage(message);
    }
  }

  fakes::ManualLoop loop_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::string> events_;
  std::unique_ptr<Uplink> uplink_;
};

TEST_F(UplinkTest, SaysHelloFirstAndOpensChangesOnlyWithAGrant) {
  Start();
  EXPECT_EQ(now().control_up.at(0).hello().instance_id(), "me");
  Welcome();
  EXPECT_EQ(now().changes, nullptr) << "a standby opens only Control";
  Grant();
  ASSERT_NE(now().changes, nullptr);
  EXPECT_EQ(now().changes_up.at(0).open().session_id(), "session");
  EXPECT_THAT(events_, ElementsAre("welcome", "grant"));
}

TEST_F(UplinkTest, BeatsAsOftenAsItWasTold) {
  Start();
  Welcome();
  for (int i = 0; i < 10; ++i) {
    loop_.Advance(base::seconds(1));
    now().control->OnMessage(v1::ControlDown());
  }
  size_t beats = 0;
  for (const auto& message : now().control_up) beats += message.has_beat() ? 1 : 0;
  EXPECT_EQ(beats, 11U);
}

TEST_F(UplinkTest, ASilentEndpointIsLeftAfterTheLeaseAndAnotherAddressIsTried) {
  Start({"a:1", "b:1"});
  const std::string first = now().target;
  Welcome();
  loop_.Advance(base::seconds(5));
  EXPECT_EQ(connections_.size(), 1U);
  loop_.Advance(base::seconds(3));
  ASSERT_EQ(connections_.size(), 2U);
  EXPECT_THAT(events_, ElementsAre("welcome", "lost"));
  EXPECT_NE(now().target, first);
  EXPECT_FALSE(connections_[0]->control_open);
}

TEST_F(UplinkTest, NoWelcomeIsALoss) {
  Start();
  loop_.Advance(base::seconds(21));
  EXPECT_EQ(connections_.size(), 2U);
}

TEST_F(UplinkTest, BacksOffUntilAnAckCame) {
  Start();
  for (int i = 0; i < 12; ++i) {
    now().control->OnClosed(absl::UnavailableError("refused"));
    const size_t before = connections_.size();
    for (int waited = 0; waited < 31 && connections_.size() == before; ++waited) {
      loop_.Advance(base::seconds(1));
    }
    ASSERT_EQ(connections_.size(), before + 1);
  }
  Welcome();
  Grant();
  v1::ChangesDown ack;
  ack.mutable_ack()->set_seq(1);
  now().changes->OnMessage(ack);
  now().control->OnClosed(absl::UnavailableError("refused"));
  const size_t before = connections_.size();
  loop_.Advance(base::milliseconds(250));
  EXPECT_EQ(connections_.size(), before + 1) << "an ack is progress";
}

TEST_F(UplinkTest, ADrainingEndpointIsLeft) {
  Start();
  Welcome();
  v1::ControlDown drain;
  drain.mutable_drain()->set_reason("upgrade");
  now().control->OnMessage(drain);
  loop_.Advance(base::seconds(1));
  EXPECT_EQ(connections_.size(), 2U);
}

TEST_F(UplinkTest, WhatIsSentWithoutASessionGoesNowhere) {
  Start();
  uplink_->SendStatus({});
  uplink_->SendBatch({});
  EXPECT_EQ(now().control_up.size(), 1U);
}

TEST_F(UplinkTest, BulkWaitsForTheLineWhileBeatsGoOn) {
  Start();
  Welcome();
  Grant();
  for (int i = 0; i < 4; ++i) SendBatch(100'000);
  const auto [first, marks] = Sent();
  EXPECT_LT(first, 60'000U) << "a window and a piece";
  ASSERT_FALSE(marks.empty());
  EXPECT_TRUE(uplink_->backlog().full());
  const size_t before = now().control_up.size();
  loop_.Advance(base::seconds(1));
  EXPECT_GT(now().control_up.size(), before);
  EXPECT_EQ(Sent().first, 0U);
  // A line of 100 KB/s.
  size_t all = first;
  std::vector<uint64_t> next = marks;
  for (int i = 0; i < 400 && !next.empty(); ++i) {
    Answer({next.front()});
    const auto [bytes, more] = Sent();
    EXPECT_LT(bytes, 60'000U);
    all += bytes;
    next.erase(next.begin());
    next.insert(next.end(), more.begin(), more.end());
    loop_.Advance(base::milliseconds(50));
    now().control->OnMessage(v1::ControlDown());
  }
  EXPECT_GT(all, 400'000U);
  EXPECT_EQ(uplink_->backlog().bytes(), 0U);
  EXPECT_THAT(events_, ElementsAre("welcome", "grant", "room"));
}

TEST_F(UplinkTest, ALargeBatchGoesUpInPiecesThatAreTheBatch) {
  Start();
  Welcome();
  Grant();
  now().changes_up.clear();
  SendBatch(7'000);
  wire::FragmentJoiner joiner(size_t{1} << 20);
  std::optional<v1::ChangesUp> whole;
  for (const v1::ChangesUp& one : now().changes_up) {
    if (!one.has_fragment()) continue;
    EXPECT_LE(one.fragment().data().size(), 4096U);
    whole = *joiner.Add(one.fragment());
  }
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->batch().payload().size(), 7'000U);
}

TEST_F(UplinkTest, AnEndpointThatDoesNotPaceGetsEverythingAtOnceAndWhole) {
  Start();
  Welcome(false);
  Grant();
  for (int i = 0; i < 4; ++i) SendBatch(100'000);
  const auto [bytes, marks] = Sent();
  EXPECT_EQ(bytes, 400'000U);
  EXPECT_TRUE(marks.empty());
  EXPECT_FALSE(uplink_->backlog().full());
}

TEST_F(UplinkTest, WhatWaitedGoesWithTheSession) {
  Start();
  Welcome();
  Grant();
  for (int i = 0; i < 4; ++i) SendBatch(100'000);
  now().control->OnClosed(absl::UnavailableError("gone"));
  EXPECT_EQ(uplink_->backlog().bytes(), 0U);
  SendBatch(1000);
  EXPECT_EQ(uplink_->backlog().bytes(), 0U);
}

TEST_F(UplinkTest, TellsHowLongBeatsTook) {
  UplinkOptions options;
  options.endpoints = {"a:1"};
  base::Duration took{};
  options.on_round_trip = [&](base::Duration one) { took = one; };
  uplink_ = std::make_unique<Uplink>(
      options,
      [this](const std::string&) {
        connections_.push_back(std::make_unique<Connection>());
        return std::make_unique<Channel>(connections_.back().get());
      },
      this, &loop_);
  uplink_->Start();
  Welcome();
  loop_.Advance(base::milliseconds(70));
  v1::ControlDown beat;
  beat.mutable_beat()->set_number(1);
  now().control->OnMessage(beat);
  EXPECT_EQ(took, base::milliseconds(70));
}

}  // namespace
}  // namespace fairlead::agent
