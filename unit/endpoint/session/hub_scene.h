#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "endpoint/session/hub.h"
#include "endpoint/store/reader.h"
#include "endpoint/store/store.h"
#include "lib/wire/codec.h"
#include "lib/wire/fragments.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_agent_transport.h"
#include "unit/sim/loop_writer.h"

// A hub over a real store, and agents that say what a test tells them to.
namespace fairlead::endpoint {

namespace v1 = fairlead::agent::v1;
using base::milliseconds;
using base::minutes;
using base::seconds;
template <typename Message>
struct Received : wire::StreamHandler<Message> {
  void OnMessage(Message message) override { messages.push_back(std::move(message)); }
  void OnClosed(const absl::Status& status) override {
    closed = true;
    why = status;
  }
  std::vector<Message> messages;
  bool closed = false;
  absl::Status why;
};

// An agent that says what a test tells it to, and remembers what it is told.
class TestAgent {
 public:
  struct Seen {
    std::string account_uid;
    uint64_t epoch = 0;
    uint64_t seq = 0;
  };
  TestAgent(fakes::MemoryAgentNetwork* network, fakes::ManualLoop* loop,
            const std::string& identity, const std::string& instance,
            const std::optional<Seen>& seen = std::nullopt)
      : loop_(loop), channel_(network->Connect({.identity = identity, .address = instance})) {
    control_out_ = channel_->OpenControl(&control);
    v1::ControlUp hello;
    hello.mutable_hello()->add_protocol_versions(1);
    hello.mutable_hello()->set_instance_id(instance);
    if (instance != "old") hello.mutable_hello()->add_features(wire::kFeatureExchange);
    if (seen) {
      v1::ShardSeen* one = hello.mutable_hello()->add_seen();
      one->set_account_uid(seen->account_uid);
      one->set_store_epoch(seen->epoch);
      one->set_seq(seen->seq);
    }
    control_out_->Send(hello);
    Settle();
  }
  void Claim(const std::string& account, const std::string& cluster_uid = "") {
    v1::ControlUp message;
    v1::Claim* claim = message.mutable_claims()->add_claims();
    claim->set_account_name(account);
    claim->set_cluster_uid(cluster_uid);
    control_out_->Send(message);
    Settle();
  }
  void Beat() { control_out_->Send(BeatMessage()); }
  void OpenChanges(const std::string& session_id) {
    changes_out_ = channel_->OpenChanges(&changes);
    v1::ChangesUp open;
    open.mutable_open()->set_session_id(session_id);
    changes_out_->Send(open);
    Settle();
  }
  void OpenChanges() { OpenChanges(session_id()); }
  // The next batch of the granted shard, or `seq`.
  void SendBatch(const v1::Payload& payload, std::optional<uint64_t> seq = std::nullopt) {
    SendRaw(payload.SerializeAsString(), seq);
  }
  void SendRaw(const std::string& bytes, std::optional<uint64_t> seq = std::nullopt) {
    SendUp(BatchOf(bytes, seq));
  }
  v1::ChangesUp BatchOf(const std::string& bytes, std::optional<uint64_t> seq = std::nullopt) {
    const v1::Grant* of = grant();
    v1::ChangesUp message;
    v1::Batch* batch = message.mutable_batch();
    batch->set_account_uid(of->account_uid());
    batch->set_store_epoch(of->store_epoch());
    batch->set_term(term != 0 ? term : of->term());
    batch->set_seq(seq.value_or(next_seq_++));
    batch->set_codec(v1::CODEC_NONE);
    batch->set_raw_bytes(static_cast<uint32_t>(bytes.size()));
    batch->set_payload(bytes);
    return message;
  }
  // In pieces, as over a slow line.
  void SendFragments(const v1::ChangesUp& message, size_t piece_bytes) {
    for (const v1::ChangesUp& piece : wire::Fragments(message, piece_bytes)) SendUp(piece);
  }
  void SendUp(const v1::ChangesUp& message) {
    changes_out_->Send(message);
    Settle();
  }
  void Ask(char snapshot, const std::string& reason = "First") {
    v1::ChangesUp message;
    v1::SnapshotAsk* ask = message.mutable_snapshot_ask();
    ask->set_reason(reason);
    ask->mutable_kind()->set_resource("pods");
    ask->set_account_uid(grant()->account_uid());
    ask->set_term(grant()->term());
    ask->set_snapshot_id(std::string(16, snapshot));
    changes_out_->Send(message);
    Settle();
  }
  void Say(v1::AccountStatus status) {
    v1::ControlUp message;
    status.set_account_uid(grant()->account_uid());
    status.set_state("Running");
    *message.mutable_account_status() = std::move(status);
    control_out_->Send(message);
    Settle();
  }
  void Leave() {
    changes_out_.reset();
    control_out_.reset();
    Settle();
  }
  // Long enough for the writer; too short for a lease.
  void Settle() { loop_->Advance(milliseconds(30)); }

  [[nodiscard]] std::string session_id() const {
    return control.messages.at(0).welcome().session_id();
  }
  // The newest, unless it was revoked.
  [[nodiscard]] const v1::Grant* grant() const {
    const v1::Grant* newest = nullptr;
    for (const v1::ControlDown& one : control.messages) {
      if (one.has_grant()) newest = &one.grant();
      if (one.has_revoke()) newest = nullptr;
    }
    return newest;
  }
  [[nodiscard]] std::vector<std::string> Revoked() const {
    std::vector<std::string> reasons;
    for (const auto& one : control.messages) {
      if (one.has_revoke()) reasons.push_back(one.revoke().reason());
    }
    return reasons;
  }
  [[nodiscard]] std::vector<std::string> Refusals() const {
    std::vector<std::string> reasons;
    for (const auto& one : control.messages) {
      if (one.has_claim_refused()) reasons.push_back(one.claim_refused().reason());
    }
    return reasons;
  }
  [[nodiscard]] std::vector<v1::Ack> Acks() const {
    std::vector<v1::Ack> acks;
    for (const auto& one : changes.messages) {
      if (one.has_ack()) acks.push_back(one.ack());
    }
    return acks;
  }
  [[nodiscard]] std::string Admitted() const {
    std::string admitted;
    for (const auto& one : changes.messages) {
      if (one.has_snapshot_admit()) admitted += one.snapshot_admit().snapshot_id().at(0);
    }
    return admitted;
  }
  Received<v1::ControlDown> control;
  Received<v1::ChangesDown> changes;
  uint64_t term = 0;  // to be said instead of the granted one

 private:
  static v1::ControlUp BeatMessage() {
    v1::ControlUp message;
    message.mutable_beat()->set_number(1);
    return message;
  }
  fakes::ManualLoop* loop_;
  std::unique_ptr<wire::AgentChannel> channel_;
  std::unique_ptr<wire::StreamSender<v1::ControlUp>> control_out_;
  std::unique_ptr<wire::StreamSender<v1::ChangesUp>> changes_out_;
  uint64_t next_seq_ = 1;
};

class HubScene : public ::testing::Test {
 protected:
  explicit HubScene(bool replicas = false) {
    dir_ = std::filesystem::temp_directory_path() / ("hub_test." + std::to_string(getpid()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    store_ = *store::Store::Open({.sqlite_path = dir_ / "test.db"}, &loop_.clock());
    writer_ = std::make_unique<sim::LoopWriter>(store_.get(), &loop_,
                                                [] { return base::Duration::zero(); });
    reader_ = *store_->OpenReader();
    HubOptions options;
    options.concurrent_snapshots = 2;
    options.scrub = [this](const store::ScrubRequest& rows, std::function<void()> done) {
      scrubbed_.push_back(rows.resource);
      scrub_done_ = std::move(done);
    };
    options.replicas = replicas;
    options.sessions_per_identity = 2;
    hub_ = std::make_unique<Hub>(options, writer_.get(), nullptr, &board_, &loop_);
    hub_->Start();
    network_.Serve(hub_.get());
    PutAccount("prod", 1);
  }
  ~HubScene() override {
    hub_.reset();
    writer_.reset();
    std::filesystem::remove_all(dir_);
  }
  void PutAccount(const std::string& name, uint64_t uid, const std::string& hash = "1",
                  const std::string& pinned = "", const std::vector<std::string>& kinds = {}) {
    registry::Account account;
    account.uid = {0, uid};
    account.name = name;
    account.hash = hash;
    account.spec.identities = {"agent"};
    account.spec.pinned_cluster_uid = pinned;
    account.spec.level_cluster = true;
    account.spec.kinds = kinds;
    PutAccount(account);
  }
  void PutAccount(const registry::Account& account) {
    EXPECT_TRUE(store_->CreateShard({account.uid, 0}).ok());
    hub_->PutAccount(account);
  }
  std::unique_ptr<TestAgent> Connect(const std::string& instance,
                                     const std::string& identity = "agent") {
    return std::make_unique<TestAgent>(&network_, &loop_, identity, instance);
  }
  // An agent that holds "prod" and has its Changes stream open.
  std::unique_ptr<TestAgent> Holder() {
    auto agent = Connect("one");
    agent->Claim("prod");
    EXPECT_NE(agent->grant(), nullptr);
    agent->OpenChanges();
    return agent;
  }
  static v1::Payload PayloadOf(const std::string& resource = "pods") {
    v1::Payload payload;
    v1::Kind* kind = payload.add_kinds();
    kind->set_resource(resource);
    kind->set_kind(resource == "pods" ? "Pod" : "K");
    kind->set_version("v1");
    kind->set_namespaced(true);
    return payload;
  }
  static v1::Change* AddUpsert(v1::Payload* payload, const std::string& name,
                               const std::string& body) {
    v1::Change* change = payload->add_entries()->mutable_change();
    change->set_operation(v1::Change::UPSERT);
    change->set_name_space("ns");
    change->set_name(name);
    change->set_uid("u");
    change->set_resource_version("10");
    change->set_history(1);
    change->set_content_hash(base::ToBytes(base::Sha256Trunc128(body)));
    change->set_body(body);
    return change;
  }
  static std::string Body(const std::string& name, const std::string& more = "") {
    return R"({"metadata":{"name":")" + name + R"(","namespace":"ns","uid":"u"})" + more + "}";
  }
  static v1::Payload Upserts(const std::string& name) {
    v1::Payload payload = PayloadOf();
    AddUpsert(&payload, name, Body(name));
    return payload;
  }
  static void AddBegin(v1::Payload* payload, char id) {
    v1::SnapshotBegin* begin = payload->add_entries()->mutable_snapshot_begin();
    begin->set_snapshot_id(std::string(16, id));
    begin->set_history(1);
    begin->set_complete_list(true);
  }
  static v1::SnapshotItem* AddPage(v1::Payload* payload, char id, const std::string& name,
                                   const std::string& body) {
    v1::SnapshotPage* page = payload->add_entries()->mutable_snapshot_page();
    page->set_snapshot_id(std::string(16, id));
    v1::SnapshotItem* item = page->add_items();
    item->set_name_space("ns");
    item->set_name(name);
    item->set_uid("u");
    item->set_resource_version("20");
    item->set_content_hash(base::ToBytes(base::Sha256Trunc128(body)));
    return item;
  }
  static void AddEnd(v1::Payload* payload, char id) {
    v1::SnapshotEnd* end = payload->add_entries()->mutable_snapshot_end();
    end->set_snapshot_id(std::string(16, id));
    end->set_resource_version("20");
    end->set_sum(std::string(16, '\0'));
  }
  std::vector<std::string> Rows(uint64_t account = 1) {
    store::ObjectPageRequest all;
    all.filter.account = base::U128{0, account};
    const absl::StatusOr<store::ObjectPage> page = reader_->Objects(all);
    std::vector<std::string> names;
    for (const store::StoredObject& row : page->objects) {
      names.push_back(row.object.name);
    }
    return names;
  }

  fakes::ManualLoop loop_;
  fakes::MemoryAgentNetwork network_{&loop_};
  std::filesystem::path dir_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Reader> reader_;
  std::unique_ptr<sim::LoopWriter> writer_;
  FleetBoard board_;
  std::vector<std::string> scrubbed_;
  std::function<void()> scrub_done_;
  std::unique_ptr<Hub> hub_;
};

}  // namespace fairlead::endpoint
