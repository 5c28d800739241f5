#include "bench/sink.h"

#include <chrono>
#include <utility>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "bench/floor_frame.h"
#include "lib/base/hash.h"
#include "lib/wire/codec.h"
#include "lib/wire/fragments.h"

namespace fairlead::bench {

namespace v1 = agent::v1;

namespace {

constexpr uint64_t kCreditBytes = uint64_t{1} << 20;  // HubOptions::shard_credit_bytes
constexpr uint32_t kFlushDelayMs = 2;
const std::string kAccount(16, 'b');

}  // namespace

struct Sink::Control : wire::StreamHandler<v1::ControlUp> {
  void OnMessage(v1::ControlUp message) override { owner->OnControlMessage(this, message); }
  void OnClosed(const absl::Status&) override { sender.reset(); }
  Sink* owner = nullptr;
  std::unique_ptr<wire::StreamSender<v1::ControlDown>> sender;
  bool granted = false;
};

struct Sink::Changes : wire::StreamHandler<v1::ChangesUp> {
  void OnMessage(v1::ChangesUp message) override { owner->OnChangesMessage(this, message); }
  void OnClosed(const absl::Status&) override { sender.reset(); }
  Sink* owner = nullptr;
  std::unique_ptr<wire::StreamSender<v1::ChangesDown>> sender;
  wire::FragmentJoiner fragments{size_t{4} << 20};
};

Sink::Sink(const Workload& workload) : ledger_(workload) {}
Sink::~Sink() = default;

wire::StreamHandler<v1::ControlUp>* Sink::OnControl(
    const wire::Peer&, std::unique_ptr<wire::StreamSender<v1::ControlDown>> sender) {
  controls_.push_back(std::make_unique<Control>());
  controls_.back()->owner = this;
  controls_.back()->sender = std::move(sender);
  return controls_.back().get();
}

wire::StreamHandler<v1::ChangesUp>* Sink::OnChanges(
    const wire::Peer&, std::unique_ptr<wire::StreamSender<v1::ChangesDown>> sender) {
  changes_.push_back(std::make_unique<Changes>());
  changes_.back()->owner = this;
  changes_.back()->sender = std::move(sender);
  return changes_.back().get();
}

void Sink::OnEnroll(const wire::Peer&, const v1::EnrollRequest&,
                    std::function<void(absl::StatusOr<v1::EnrollResponse>)> done) {
  done(absl::PermissionDeniedError("this is a benchmark: the certificate is there already"));
}

void Sink::OnControlMessage(Control* control, const v1::ControlUp& message) {
  if (!control->sender) return;
  v1::ControlDown answer;
  bool claimed = false;
  if (message.has_beat()) {
    answer.mutable_beat()->set_number(message.beat().number());
    control->sender->Send(std::move(answer));
  } else if (message.has_hello()) {
    v1::Welcome* welcome = answer.mutable_welcome();
    welcome->set_protocol_version(1);
    welcome->set_codec(v1::CODEC_ZSTD);
    welcome->set_hash_algorithm(v1::HASH_SHA256_128);
    welcome->set_session_id(std::string(16, 's'));
    welcome->set_beat_interval_ms(2000);
    welcome->set_lease_ms(30000);
    welcome->set_max_message_bytes(4 << 20);
    welcome->add_features(wire::kFeaturePace);
    control->sender->Send(std::move(answer));
    claimed = message.hello().claims_size() > 0;
  } else if (message.has_claims()) {
    claimed = true;
  }
  if (!claimed || std::exchange(control->granted, true)) return;
  v1::ControlDown down;
  v1::Grant* grant = down.mutable_grant();
  grant->set_account_name("bench");
  grant->set_account_uid(kAccount);
  grant->set_store_epoch(1);
  grant->set_term(++term_);
  grant->mutable_scope()->set_level_cluster(true);
  grant->mutable_scope()->add_kinds("pod");
  control->sender->Send(std::move(down));
}

void Sink::OnChangesMessage(Changes* changes, const v1::ChangesUp& message) {
  if (!changes->sender) return;
  if (message.has_batch()) return OnBatch(changes, message.batch());
  v1::ChangesDown down;
  if (message.has_open()) {
    if (term_ == 0) return;  // the floor pipe, a rival
    v1::Positions* positions = down.mutable_positions();
    positions->set_account_uid(kAccount);
    positions->set_store_epoch(1);
    positions->set_term(term_);
    positions->set_last(true);
  } else if (message.has_snapshot_ask()) {
    v1::SnapshotAdmit* admit = down.mutable_snapshot_admit();
    admit->set_account_uid(kAccount);
    admit->set_term(term_);
    admit->set_snapshot_id(message.snapshot_ask().snapshot_id());
  } else if (message.has_mark()) {
    *down.mutable_mark() = message.mark();
  } else if (message.has_fragment()) {
    const auto whole = changes->fragments.Add(message.fragment());
    if (whole.ok() && whole->has_value()) OnChangesMessage(changes, **whole);
    return;
  } else {
    return;
  }
  changes->sender->Send(std::move(down));
}

void Sink::OnBatch(Changes* changes, const v1::Batch& batch) {
  counted_.payload_bytes += batch.payload().size();
  if (batch.codec() == v1::CODEC_NONE) {
    EnterFloor(batch.payload());
    return Publish();
  }
  // First, so that checking costs the subject no waiting.
  Ack(changes, batch);
  EnterPayload(changes, batch);
  Publish();
}

void Sink::Ack(Changes* changes, const v1::Batch& batch) {
  v1::ChangesDown down;
  v1::Ack* ack = down.mutable_ack();
  ack->set_account_uid(batch.account_uid());
  ack->set_store_epoch(batch.store_epoch());
  ack->set_term(batch.term());
  ack->set_seq(batch.seq());
  ack->set_credit_bytes(kCreditBytes);
  ack->set_flush_delay_ms(kFlushDelayMs);
  held_ = [changes, down] {
    if (changes->sender) changes->sender->Send(down);
  };
  if (!holding_) std::exchange(held_, nullptr)();
}

void Sink::HoldAcks(bool hold) {
  holding_ = hold;
  if (!hold && held_) std::exchange(held_, nullptr)();
}

void Sink::EnterFloor(const std::string& payload) {
  std::string_view rest = payload;
  FloorEvent event;
  while (TakeFloorEvent(&rest, &event)) {
    if (event.type == "DELETED") ledger_.Fault("a delete nobody asked for");
    ledger_.Object(event.name, event.uid, event.resource_version, event.object,
                   event.type == "MODIFIED");
  }
  if (!rest.empty()) ledger_.Fault("a message is broken");
  snapshot_ended_ = true;
}

void Sink::EnterPayload(Changes* changes, const v1::Batch& batch) {
  v1::Payload payload;
  const absl::Status read =
      wire::DecodePayload(batch.codec(), batch.raw_bytes(), batch.payload(), &payload);
  if (!read.ok()) return ledger_.Fault(read.ToString());
  std::string page;
  for (const v1::Entry& entry : payload.entries()) {
    if (entry.has_change()) {
      const v1::Change& change = entry.change();
      if (change.operation() != v1::Change::UPSERT) ledger_.Fault("a delete nobody asked for");
      ledger_.Object(change.name(), change.uid(), change.resource_version(), change.body(), true);
      if (base::ToBytes(base::Sha256Trunc128(change.body())) != change.content_hash()) {
        ledger_.Fault("a content hash is not that of its body");
      }
    } else if (entry.has_snapshot_page()) {
      page = entry.snapshot_page().snapshot_id();
      for (const v1::SnapshotItem& item : entry.snapshot_page().items()) {
        ledger_.Object(item.name(), item.uid(), item.resource_version(), item.body(), false);
      }
    } else if (entry.has_snapshot_end()) {
      snapshot_ended_ = true;
    }
  }
  if (page.empty()) return;
  v1::ChangesDown down;
  v1::Want* want = down.mutable_want();
  want->set_account_uid(batch.account_uid());
  want->set_term(batch.term());
  want->set_snapshot_id(page);
  want->set_through_seq(batch.seq());
  changes->sender->Send(std::move(down));
}

void Sink::Publish() {
  counted_.synced = snapshot_ended_ && ledger_.synced();
  counted_.complete = counted_.synced && ledger_.complete();
  counted_.items = ledger_.items();
  counted_.changes = ledger_.changes();
  counted_.faults = ledger_.faults();
  counted_.first_fault = ledger_.first_fault();
  const base::MutexLock lock(mutex_);
  published_ = counted_;
  moved_.notify_all();
}

Sink::Stats Sink::Now() const {
  const base::MutexLock lock(mutex_);
  return published_;
}

bool Sink::Wait(bool Stats::*what, int64_t milliseconds) {
  base::MutexLock lock(mutex_);
  return moved_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                         [&] { return published_.*what || published_.faults > 0; });
}

bool Sink::WaitSynced(int64_t milliseconds) { return Wait(&Stats::synced, milliseconds); }
bool Sink::WaitComplete(int64_t milliseconds) { return Wait(&Stats::complete, milliseconds); }

}  // namespace fairlead::bench
