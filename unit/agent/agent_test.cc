#include "agent/agent.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <map>
#include <set>

#include "lib/base/mutex.h"
#include "lib/net/loop_thread.h"
#include "lib/wire/codec.h"
#include "unit/fakes/fake_kube.h"
#include "unit/fakes/memory_transport.h"

namespace fairlead::agent {
namespace {

// An endpoint that grants what is claimed, admits and acknowledges everything, and remembers each
// account's objects. Lives on the session's loop; Rows() may be asked from anywhere.
class Endpoint {
 public:
  explicit Endpoint(base::Loop* loop) : loop_(loop) {}

  // The agent's ends of the streams; null while there are none: what is under way then is lost.
  wire::StreamHandler<v1::ControlDown>* control = nullptr;
  wire::StreamHandler<v1::ChangesDown>* changes = nullptr;

  void OnControl(const v1::ControlUp& message) {
    v1::ControlDown answer;
    if (message.has_hello()) {
      answer.mutable_welcome()->set_session_id("session");
      answer.mutable_welcome()->set_beat_interval_ms(60'000);
      answer.mutable_welcome()->set_lease_ms(300'000);
      Control(answer);
    }
    for (const v1::Claim& claim : message.claims().claims()) {
      if (!granted_.insert(claim.account_name()).second) continue;
      answer.mutable_grant()->set_account_name(claim.account_name());
      answer.mutable_grant()->set_account_uid(Uid(claim.account_name()));
      answer.mutable_grant()->set_term(1);
      answer.mutable_grant()->mutable_scope()->set_level_cluster(true);
      answer.mutable_grant()->mutable_scope()->add_kinds("pod");
      Control(answer);
      v1::ChangesDown positions;
      positions.mutable_positions()->set_account_uid(Uid(claim.account_name()));
      positions.mutable_positions()->set_term(1);
      positions.mutable_positions()->set_last(true);
      Changes(positions);
    }
  }

  void OnChanges(const v1::ChangesUp& message) {
    v1::ChangesDown answer;
    if (message.has_snapshot_ask()) {
      answer.mutable_snapshot_admit()->set_account_uid(message.snapshot_ask().account_uid());
      answer.mutable_snapshot_admit()->set_term(1);
      answer.mutable_snapshot_admit()->set_snapshot_id(message.snapshot_ask().snapshot_id());
      return Changes(answer);
    }
    if (!message.has_batch()) return;
    const v1::Batch& batch = message.batch();
    v1::Payload payload;
    ASSERT_TRUE(
        wire::DecodePayload(batch.codec(), batch.raw_bytes(), batch.payload(), &payload).ok());
    Store(batch.account_uid(), payload);
    answer.mutable_ack()->set_account_uid(batch.account_uid());
    answer.mutable_ack()->set_term(1);
    answer.mutable_ack()->set_seq(batch.seq());
    answer.mutable_ack()->set_credit_bytes(1 << 20);
    answer.mutable_ack()->set_flush_delay_ms(1);
    Changes(answer);
    for (const v1::Entry& entry : payload.entries()) {
      if (!entry.has_snapshot_page()) continue;
      v1::ChangesDown want;
      want.mutable_want()->set_account_uid(batch.account_uid());
      want.mutable_want()->set_term(1);
      want.mutable_want()->set_snapshot_id(entry.snapshot_page().snapshot_id());
      want.mutable_want()->set_through_seq(batch.seq());
      Changes(want);
    }
  }

  void SendBeat() {
    v1::ControlDown message;
    message.mutable_beat();
    Control(message);
  }

  // Waits until the account has exactly `names`.
  [[nodiscard]] bool Has(const std::string& account, const std::set<std::string>& names) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, base::seconds(20), [&] { return rows_[Uid(account)] == names; });
  }

 private:
  static std::string Uid(const std::string& account) {
    return (account + std::string(16, '.')).substr(0, 16);
  }
  void Control(const v1::ControlDown& message) {
    loop_->Post([this, message] {
      if (control != nullptr) control->OnMessage(message);
    });
  }
  void Changes(const v1::ChangesDown& message) {
    loop_->Post([this, message] {
      if (changes != nullptr) changes->OnMessage(message);
    });
  }
  void Store(const std::string& uid, const v1::Payload& payload) {
    const std::unique_lock lock(mutex_);
    std::set<std::string>& names = rows_[uid];
    for (const v1::Entry& entry : payload.entries()) {
      for (const v1::SnapshotItem& item : entry.snapshot_page().items()) names.insert(item.name());
      if (!entry.has_change()) continue;
      const bool gone = entry.change().operation() == v1::Change::DELETE;
      if (gone) names.erase(entry.change().name());
      if (!gone) names.insert(entry.change().name());
    }
    changed_.notify_all();
  }

  base::Loop* loop_;
  std::set<std::string> granted_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::map<std::string, std::set<std::string>> rows_;
};

// `back` is the endpoint's pointer to the other direction's handler, which may go after this.
template <typename Message, typename Back>
class Sender : public wire::StreamSender<Message> {
 public:
  Sender(std::function<void(const Message&)> receive, wire::StreamHandler<Back>** back)
      : receive_(std::move(receive)), back_(back) {}
  ~Sender() override { *back_ = nullptr; }
  void Send(Message message) override { receive_(message); }

 private:
  std::function<void(const Message&)> receive_;
  wire::StreamHandler<Back>** back_;
};

class Channel : public wire::AgentChannel {
 public:
  explicit Channel(Endpoint* endpoint) : endpoint_(endpoint) {}
  std::unique_ptr<wire::StreamSender<v1::ControlUp>> OpenControl(
      wire::StreamHandler<v1::ControlDown>* handler) override {
    endpoint_->control = handler;
    return std::make_unique<Sender<v1::ControlUp, v1::ControlDown>>(
        [this](const v1::ControlUp& message) { endpoint_->OnControl(message); },
        &endpoint_->control);
  }
  std::unique_ptr<wire::StreamSender<v1::ChangesUp>> OpenChanges(
      wire::StreamHandler<v1::ChangesDown>* handler) override {
    endpoint_->changes = handler;
    return std::make_unique<Sender<v1::ChangesUp, v1::ChangesDown>>(
        [this](const v1::ChangesUp& message) { endpoint_->OnChanges(message); },
        &endpoint_->changes);
  }
  std::unique_ptr<wire::StreamSender<v1::ExchangeUp>> OpenExchange(
      wire::StreamHandler<v1::ExchangeDown>*) override {
    return nullptr;
  }
  void Enroll(const v1::EnrollRequest&,
              std::function<void(absl::StatusOr<v1::EnrollResponse>)>) override {}

 private:
  Endpoint* endpoint_;
};

// One account's cluster and the worker it is served on.
struct Worker {
  net::LoopThread loop{"worker"};
  fakes::FakeKube kube;
  RecentHashes recent{4096};

  void Do(std::function<void()> what) {
    std::promise<void> done;
    loop.Post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }
};

TEST(Agent, ServesAccountsOfSeveralWorkersAndEndsWhileTheyWork) {
  net::LoopThread session("session");
  Worker workers[2];
  Endpoint endpoint(&session);
  UplinkOptions uplink;
  uplink.endpoints = {"a:1"};
  Agent agent(
      {"1", "me", "", ""}, uplink,
      [&](const std::string&) { return std::make_unique<Channel>(&endpoint); }, &session);
  for (size_t i = 0; i < 2; ++i) {
    Worker& worker = workers[i];
    worker.kube.Serve({.version = "v1", .resource = "pods", .kind = "Pod"});
    worker.kube.Serve(
        {.version = "v1", .resource = "namespaces", .kind = "Namespace", .namespaced = false});
    worker.kube.Put("namespaces", "", "kube-system");
    worker.kube.Put("pods", "shop", "first");
    AccountOptions options;
    options.name = i == 0 ? "one" : "two";
    options.recent = &worker.recent;
    agent.AddAccount(options, std::make_unique<fakes::MemoryTransport>(&worker.kube, &worker.loop),
                     &worker.loop);
  }
  for (Worker& worker : workers) worker.loop.Start();
  session.Start();
  session.Post([&] { agent.Start(); });
  EXPECT_TRUE(endpoint.Has("one", {"first"}));
  EXPECT_TRUE(endpoint.Has("two", {"first"}));
  for (Worker& worker : workers) {
    worker.Do([&] {
      for (int i = 0; i < 200; ++i) worker.kube.Put("pods", "shop", "busy");
      worker.kube.Delete("pods", "shop", "first");
      worker.kube.Put("pods", "shop", "last");
    });
  }
  EXPECT_TRUE(endpoint.Has("one", {"busy", "last"}));
  EXPECT_TRUE(endpoint.Has("two", {"busy", "last"}));
  std::promise<AgentStats> stats;
  session.Post([&] { agent.Collect([&](const AgentStats& all) { stats.set_value(all); }); });
  const AgentStats all = stats.get_future().get();
  EXPECT_EQ(all.granted, 2U);
  EXPECT_GE(all.watches.events, 404U);
  EXPECT_EQ(all.watches.lists, 2U);
  for (Worker& worker : workers) {
    worker.loop.Post([&] { worker.kube.Put("pods", "shop", "late"); });
  }
  std::promise<void> stopped;
  session.Post([&] {
    endpoint.SendBeat();  // still under way when the streams are gone
    agent.Stop();
    EXPECT_EQ(endpoint.control, nullptr);
    EXPECT_EQ(endpoint.changes, nullptr);
    stopped.set_value();
  });
  stopped.get_future().wait();
  session.Stop();
  agent.Close();
  for (Worker& worker : workers) worker.loop.Stop();
}

}  // namespace
}  // namespace fairlead::agent
