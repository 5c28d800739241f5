#include "agent/uplink/session.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"
#include "lib/log/log.h"

namespace fairlead::agent {

namespace {

constexpr size_t kMostUnanswered = 64;  // beats whose round trip may still be told

}  // namespace

struct Uplink::ControlStream : wire::StreamHandler<v1::ControlDown> {
  explicit ControlStream(Uplink* owner) : owner(owner) {}
  void OnMessage(v1::ControlDown message) override { owner->OnControl(message); }
  void OnClosed(const absl::Status& why) override { owner->Lost(why.ToString()); }
  Uplink* owner;
  std::unique_ptr<wire::StreamSender<v1::ControlUp>> sender;
};

struct Uplink::ChangesStream : wire::StreamHandler<v1::ChangesDown> {
  explicit ChangesStream(Uplink* owner) : owner(owner) {}
  void OnMessage(v1::ChangesDown message) override { owner->OnChanges(message); }
  void OnClosed(const absl::Status& why) override { owner->Lost(why.ToString()); }
  Uplink* owner;
  std::unique_ptr<BulkLane> lane;
};

Uplink::Uplink(const UplinkOptions& options, MakeChannel make_channel, UplinkListener* listener,
               base::Loop* loop)
    : options_(options),
      make_channel_(std::move(make_channel)),
      listener_(listener),
      loop_(loop),
      backoff_(options.backoff, options.seed) {
  uint64_t random = options.seed;
  // Agents of one fleet do not all begin with the first address.
  if (!options_.endpoints.empty()) {
    next_endpoint_ = base::NextRandom(&random) % options_.endpoints.size();
  }
}

Uplink::~Uplink() { Stop(); }

void Uplink::Start() { Connect(); }

void Uplink::Stop() {
  beat_timer_.reset();
  retry_timer_.reset();
  exchanges_.reset();
  changes_.reset();
  control_.reset();
  channel_.reset();
  welcomed_ = false;
}

void Uplink::Reconnect(const std::string& why) {
  if (control_) Lost(why);
}

void Uplink::Connect() {
  endpoint_ = options_.endpoints[next_endpoint_++ % options_.endpoints.size()];
  channel_ = make_channel_(endpoint_);
  control_ = std::make_unique<ControlStream>(this);
  control_->sender = channel_->OpenControl(control_.get());
  v1::ControlUp hello;
  *hello.mutable_hello() = listener_->MakeHello();
  control_->sender->Send(std::move(hello));
  heard_ = loop_->clock().Now();
  beat_timer_ = loop_->After(options_.welcome_timeout, [this] {
    if (!welcomed_) Lost("no Welcome in time");
  });
}

// May be called from inside a stream's own callback, so the streams are destroyed later.
void Uplink::Lost(const std::string& why) {
  if (!control_) return;
  log::Warn("session lost", {{"endpoint", endpoint_}, {"reason", why}});
  struct Remains {
    std::unique_ptr<wire::AgentChannel> channel;
    std::unique_ptr<ControlStream> control;
    std::unique_ptr<ChangesStream> changes;
    std::unique_ptr<Exchanges> exchanges;
  };
  auto remains = std::make_shared<Remains>();
  remains->channel = std::move(channel_);
  remains->control = std::move(control_);
  remains->changes = std::move(changes_);
  if (exchanges_) exchanges_->Stop();
  remains->exchanges = std::move(exchanges_);
  remains->control->sender.reset();
  if (remains->changes) remains->changes->lane.reset();
  unanswered_.clear();
  loop_->Post([remains] {});
  welcomed_ = false;
  beat_timer_.reset();
  retry_timer_ = loop_->After(backoff_.Next(), [this] { Connect(); });
  listener_->OnLost(why);
}

void Uplink::OnControl(const v1::ControlDown& message) {
  heard_ = loop_->clock().Now();
  switch (message.message_case()) {
    case v1::ControlDown::kWelcome:
      return OnWelcome(message.welcome());
    case v1::ControlDown::kGrant:
      OpenChanges();
      return listener_->OnGrant(message.grant());
    case v1::ControlDown::kRevoke:
      return listener_->OnRevoke(message.revoke());
    case v1::ControlDown::kAccountRules:
      return listener_->OnRules(message.account_rules());
    case v1::ControlDown::kClaimRefused:
      return listener_->OnClaimRefused(message.claim_refused());
    case v1::ControlDown::kDrain:
      return Lost(base::StrCat("the endpoint drains: ", message.drain().reason()));
    case v1::ControlDown::kBeat:
      return OnBeat(message.beat().number());
    case v1::ControlDown::MESSAGE_NOT_SET:
      return;
  }
}

void Uplink::OnWelcome(const v1::Welcome& welcome) {
  if (welcomed_) return;
  welcomed_ = true;
  session_id_ = welcome.session_id();
  const auto& features = welcome.features();
  may_pace_ = std::find(features.begin(), features.end(), wire::kFeaturePace) != features.end();
  beat_interval_ = base::milliseconds(std::clamp(welcome.beat_interval_ms(), 100U, 60'000U));
  lease_ = base::milliseconds(std::clamp(welcome.lease_ms(), 300U, 300'000U));
  log::Info("session opened",
            {{"endpoint", endpoint_}, {"endpointVersion", welcome.endpoint_version()}});
  listener_->OnWelcome(welcome);
  if (std::find(features.begin(), features.end(), wire::kFeatureExchange) != features.end()) {
    exchanges_ = std::make_unique<Exchanges>(
        channel_.get(), session_id_,
        [this](const v1::ApiRequest& request, std::string body, ApiAnswer* answer) {
          return listener_->OnApiRequest(request, std::move(body), answer);
        },
        loop_);
  }
  Beat();
}

void Uplink::OpenChanges() {
  if (changes_ || !channel_) return;
  changes_ = std::make_unique<ChangesStream>(this);
  auto sender = channel_->OpenChanges(changes_.get());
  v1::ChangesUp open;
  open.mutable_open()->set_session_id(session_id_);
  sender->Send(std::move(open));
  changes_->lane = std::make_unique<BulkLane>(std::move(sender), may_pace_, &backlog_, loop_);
}

void Uplink::OnChanges(const v1::ChangesDown& message) {
  heard_ = loop_->clock().Now();
  switch (message.message_case()) {
    case v1::ChangesDown::kAck:
      backoff_.Reset();
      return listener_->OnAck(message.ack());
    case v1::ChangesDown::kPositions:
      return listener_->OnPositions(message.positions());
    case v1::ChangesDown::kWant:
      return listener_->OnWant(message.want());
    case v1::ChangesDown::kSnapshotAdmit:
      return listener_->OnAdmit(message.snapshot_admit());
    case v1::ChangesDown::kAuditOrder:
      return listener_->OnAuditOrder(message.audit_order());
    case v1::ChangesDown::kSnapshotDone:
      return listener_->OnSnapshotDone(message.snapshot_done());
    case v1::ChangesDown::kMark:
      return OnMark(message.mark().number());
    case v1::ChangesDown::MESSAGE_NOT_SET:
      return;
  }
}

void Uplink::OnBeat(uint64_t number) {
  while (!unanswered_.empty() && unanswered_.front().first < number) unanswered_.pop_front();
  if (unanswered_.empty() || unanswered_.front().first != number) return;
  const base::Duration took = loop_->clock().Now() - unanswered_.front().second;
  unanswered_.pop_front();
  if (options_.on_round_trip) options_.on_round_trip(took);
  if (changes_) changes_->lane->OnRoundTrip(took);
}

void Uplink::OnMark(uint64_t number) {
  if (changes_->lane->OnMark(number)) listener_->OnRoom();
}

size_t Uplink::window() const { return changes_ ? changes_->lane->window() : 0; }

void Uplink::Beat() {
  const base::Duration silent = loop_->clock().Now() - heard_;
  if (silent > lease_) return Lost("the endpoint has fallen silent");
  v1::ControlUp beat;
  beat.mutable_beat()->set_number(++beats_);
  unanswered_.emplace_back(beats_, loop_->clock().Now());
  if (unanswered_.size() > kMostUnanswered) unanswered_.pop_front();
  control_->sender->Send(std::move(beat));
  // A silence that is too long ends between two beats.
  const base::Duration left = lease_ - silent + base::milliseconds(1);
  beat_timer_ = loop_->After(std::min(beat_interval_, left), [this] { Beat(); });
}

void Uplink::SendClaims(v1::Claims claims) {
  if (!welcomed_) return;
  v1::ControlUp message;
  *message.mutable_claims() = std::move(claims);
  control_->sender->Send(std::move(message));
}

void Uplink::SendStatus(v1::AccountStatus status) {
  if (!welcomed_) return;
  v1::ControlUp message;
  *message.mutable_account_status() = std::move(status);
  control_->sender->Send(std::move(message));
}

void Uplink::SendBatch(v1::Batch batch) {
  const size_t bytes = batch.payload().size();
  if (!changes_) return (void)backlog_.Remove(bytes);
  v1::ChangesUp message;
  *message.mutable_batch() = std::move(batch);
  if (changes_->lane->Send(std::move(message), bytes)) listener_->OnRoom();
}

void Uplink::AskSnapshot(v1::SnapshotAsk ask) {
  if (!changes_) return;
  v1::ChangesUp message;
  *message.mutable_snapshot_ask() = std::move(ask);
  if (changes_->lane->Send(std::move(message), 0)) listener_->OnRoom();
}

}  // namespace fairlead::agent
