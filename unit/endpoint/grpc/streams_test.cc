// Both gRPC ends of the agent protocol against each other over loopback.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "agent/uplink/grpc_channel.h"
#include "api/fairlead/agent/v1/agent.grpc.pb.h"
#include "endpoint/grpc/server.h"
#include "unit/fakes/manual_loop.h"

namespace fairlead::endpoint {
namespace {

namespace v1 = fairlead::agent::v1;

template <typename In>
struct Collector : wire::StreamHandler<In> {
  void OnMessage(In message) override { messages.push_back(std::move(message)); }
  void OnClosed(const absl::Status& why) override { closed = why; }
  std::vector<In> messages;
  std::optional<absl::Status> closed;
};

constexpr size_t kMostUnsent = size_t{1} << 20;

class GrpcStreams : public ::testing::Test, public wire::AgentService {
 protected:
  void SetUp() override {
    GrpcServerOptions options;
    options.address = "127.0.0.1:0";
    options.plaintext = true;
    options.trust_domain = "test";
    options.max_unsent_bytes = kMostUnsent;
    auto server = GrpcServer::Start(options, this, &loop_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    channel_ = Connect("agent-1", &loop_);
  }
  void TearDown() override {
    channel_.reset();
    down_.reset();
    changes_down_.reset();
    loop_.Run();
    server_->Stop(1000);
    loop_.Run();
  }

  std::unique_ptr<wire::AgentChannel> Connect(const std::string& identity, base::Loop* loop) {
    agent::ChannelOptions options;
    options.target = "127.0.0.1:" + std::to_string(server_->port());
    options.plaintext = true;
    options.identity = identity;
    return agent::MakeGrpcChannel(options, loop);
  }

  wire::StreamHandler<v1::ControlUp>* OnControl(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<v1::ControlDown>> sender) override {
    peer_ = peer;
    if (peer.identity == "unwanted") {
      sender->End(absl::ResourceExhaustedError("one too many"));
      return nullptr;
    }
    down_ = std::move(sender);
    return &up_;
  }
  wire::StreamHandler<v1::ChangesUp>* OnChanges(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<v1::ChangesDown>> sender) override {
    changes_down_ = std::move(sender);
    return &changes_up_;
  }
  wire::StreamHandler<v1::ExchangeUp>* OnExchange(
      const wire::Peer&, std::unique_ptr<wire::StreamSender<v1::ExchangeDown>>) override {
    return nullptr;
  }
  void OnEnroll(const wire::Peer& peer, const v1::EnrollRequest& request,
                std::function<void(absl::StatusOr<v1::EnrollResponse>)> done) override {
    if (request.token() != "good") return done(absl::PermissionDeniedError("spent"));
    v1::EnrollResponse response;
    response.set_certificate_pem("cert of " + request.identity());
    done(response);
  }

  // Turns the loop until `done` or five seconds have gone.
  bool Await(const std::function<bool()>& done) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!done() && std::chrono::steady_clock::now() < until) {
      loop_.Run();
      std::this_thread::yield();
    }
    return done();
  }

  static v1::ControlUp BeatUp(uint64_t number) {
    v1::ControlUp message;
    message.mutable_beat()->set_number(number);
    return message;
  }

  fakes::ManualLoop loop_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<wire::AgentChannel> channel_;
  wire::Peer peer_;
  Collector<v1::ControlUp> up_;
  Collector<v1::ChangesUp> changes_up_;
  std::unique_ptr<wire::StreamSender<v1::ControlDown>> down_;
  std::unique_ptr<wire::StreamSender<v1::ChangesDown>> changes_down_;
};

TEST_F(GrpcStreams, CarriesMessagesBothWaysInOrder) {
  Collector<v1::ControlDown> received;
  auto sender = channel_->OpenControl(&received);
  for (uint64_t i = 1; i <= 200; ++i) sender->Send(BeatUp(i));
  ASSERT_TRUE(Await([&] { return up_.messages.size() == 200; }));
  for (uint64_t i = 1; i <= 200; ++i) EXPECT_EQ(up_.messages[i - 1].beat().number(), i);
  EXPECT_EQ(peer_.identity, "agent-1");
  v1::ControlDown down;
  down.mutable_welcome()->set_lease_ms(77);
  down_->Send(down);
  ASSERT_TRUE(Await([&] { return received.messages.size() == 1; }));
  EXPECT_EQ(received.messages[0].welcome().lease_ms(), 77U);
}

TEST_F(GrpcStreams, TheEndpointSeesAnAgentGo) {
  Collector<v1::ControlDown> received;
  auto sender = channel_->OpenControl(&received);
  sender->Send(BeatUp(1));
  ASSERT_TRUE(Await([&] { return up_.messages.size() == 1; }));
  sender.reset();
  EXPECT_TRUE(Await([&] { return up_.closed.has_value(); }));
  EXPECT_FALSE(received.closed.has_value()) << "a destroyed sender's handler is not called";
}

TEST_F(GrpcStreams, TheAgentSeesTheEndpointLetGo) {
  Collector<v1::ChangesDown> received;
  auto sender = channel_->OpenChanges(&received);
  v1::ChangesUp open;
  open.mutable_open()->set_session_id("x");
  sender->Send(open);
  ASSERT_TRUE(Await([&] { return changes_up_.messages.size() == 1; }));
  changes_down_.reset();
  EXPECT_TRUE(Await([&] { return received.closed.has_value(); }));
  EXPECT_FALSE(changes_up_.closed.has_value());
}

TEST_F(GrpcStreams, AStoppedServerClosesEveryStream) {
  Collector<v1::ControlDown> received;
  auto sender = channel_->OpenControl(&received);
  sender->Send(BeatUp(1));
  ASSERT_TRUE(Await([&] { return up_.messages.size() == 1; }));
  std::thread stopper([this] { server_->Stop(200); });
  EXPECT_TRUE(Await([&] { return received.closed.has_value() && up_.closed.has_value(); }));
  stopper.join();
}

TEST_F(GrpcStreams, AnAgentThatNeverReadsLosesItsStream) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto stub = v1::AgentService::NewStub(
      grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.AddMetadata("fairlead-identity", "agent-1");
  const auto stream = stub->Control(&context);
  ASSERT_TRUE(stream->Write(BeatUp(1)));
  ASSERT_TRUE(Await([&] { return up_.messages.size() == 1; }));
  v1::ControlDown down;
  down.mutable_drain()->set_reason(std::string(1000, 'x'));
  for (size_t i = 0; i < kMostUnsent / 1000 / 2; ++i) down_->Send(down);
  loop_.Run();
  EXPECT_FALSE(up_.closed.has_value()) << "it may be slow";
  EXPECT_GT(down_->unsent_bytes(), kMostUnsent / 4);
  EXPECT_LT(down_->unsent_bytes(), kMostUnsent);
  for (size_t i = 0; i < kMostUnsent / 1000; ++i) down_->Send(down);
  EXPECT_TRUE(Await([&] { return up_.closed.has_value(); }));
  context.TryCancel();
}

TEST_F(GrpcStreams, AnAgentReadsWhyItsStreamEnds) {
  auto unwanted = Connect("unwanted", &loop_);
  Collector<v1::ControlDown> refused;
  const auto second = unwanted->OpenControl(&refused);
  ASSERT_TRUE(Await([&] { return refused.closed.has_value(); }));
  EXPECT_EQ(*refused.closed, absl::ResourceExhaustedError("one too many"));

  Collector<v1::ControlDown> ended;
  auto sender = channel_->OpenControl(&ended);
  sender->Send(BeatUp(1));
  ASSERT_TRUE(Await([&] { return up_.messages.size() == 1; }));
  down_->End(absl::AbortedError("no Hello"));
  down_.reset();
  ASSERT_TRUE(Await([&] { return ended.closed.has_value(); }));
  EXPECT_EQ(*ended.closed, absl::AbortedError("no Hello"));
}

TEST_F(GrpcStreams, AStreamWithoutAnIdentityIsRefused) {
  auto anonymous = Connect("", &loop_);
  Collector<v1::ControlDown> received;
  auto sender = anonymous->OpenControl(&received);
  ASSERT_TRUE(Await([&] { return received.closed.has_value(); }));
  EXPECT_EQ(received.closed->code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(down_, nullptr);
}

TEST_F(GrpcStreams, AnUnreachableEndpointClosesTheStream) {
  agent::ChannelOptions options;
  options.target = "127.0.0.1:1";
  options.plaintext = true;
  options.identity = "agent-1";
  auto nowhere = agent::MakeGrpcChannel(options, &loop_);
  Collector<v1::ControlDown> received;
  auto sender = nowhere->OpenControl(&received);
  ASSERT_TRUE(Await([&] { return received.closed.has_value(); }));
  EXPECT_EQ(received.closed->code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcStreams, EnrollAnswersOrRefuses) {
  std::vector<absl::StatusOr<v1::EnrollResponse>> answers;
  const auto keep = [&](absl::StatusOr<v1::EnrollResponse> answer) {
    answers.push_back(std::move(answer));
  };
  v1::EnrollRequest request;
  request.set_identity("agent-1");
  request.set_token("good");
  channel_->Enroll(request, keep);
  ASSERT_TRUE(Await([&] { return answers.size() == 1; }));
  request.set_token("bad");
  channel_->Enroll(request, keep);
  ASSERT_TRUE(Await([&] { return answers.size() == 2; }));
  EXPECT_EQ(answers[0]->certificate_pem(), "cert of agent-1");
  EXPECT_EQ(answers[1].status().code(), absl::StatusCode::kPermissionDenied);
}

// A loop that is slow to reach, so that whoever does not wait for gRPC's threads is gone before
// them.
struct SlowLoop : fakes::ManualLoop {
  void Post(std::function<void()> task) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ++posted;
    ManualLoop::Post(std::move(task));
  }
  std::atomic<int> posted = 0;
};

TEST_F(GrpcStreams, NothingReachesTheLoopAfterItsChannel) {
  SlowLoop own;
  auto channel = Connect("agent-2", &own);
  Collector<v1::ControlDown> received;
  auto sender = channel->OpenControl(&received);
  sender->Send(BeatUp(1));
  v1::EnrollRequest request;
  request.set_token("good");
  bool answered = false;
  channel->Enroll(request, [&](const auto&) { answered = true; });
  ASSERT_TRUE(Await([&] { return up_.messages.size() == 1 && own.posted == 1; }))
      << "the answer to Enroll is on its way";
  sender.reset();
  channel.reset();
  const int before = own.posted;
  own.Run();
  EXPECT_FALSE(answered);
  ASSERT_TRUE(Await([&] { return up_.closed.has_value(); }));
  server_->Stop(1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(own.posted, before);
}

TEST(AgentIdentity, IsTheLastSegmentOfOurOwnTrustDomainOnly) {
  EXPECT_EQ(AgentIdentity("spiffe://corp/agent/prod-1", "corp"), "prod-1");
  EXPECT_EQ(AgentIdentity("spiffe://other/agent/prod-1", "corp"), "");
  EXPECT_EQ(AgentIdentity("spiffe://corp/role/operator", "corp"), "");
  EXPECT_EQ(AgentIdentity("spiffe://corp/agent/a/b", "corp"), "");
  EXPECT_EQ(AgentIdentity("spiffe://corp/agent/", "corp"), "");
  EXPECT_EQ(AgentIdentity("spiffe://corp/agent/" + std::string(64, 'a'), "corp"), "");
}

}  // namespace
}  // namespace fairlead::endpoint
