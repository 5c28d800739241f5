#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/uplink/backlog.h"
#include "agent/uplink/bulk_lane.h"
#include "agent/uplink/exchanges.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/backoff.h"
#include "lib/base/loop.h"
#include "lib/wire/transport.h"

namespace fairlead::agent {

// What the endpoint says, session by session. Everything after OnLost() is of a new session.
class UplinkListener {
 public:
  virtual ~UplinkListener() = default;
  // The Hello of a session about to be opened: claims and what was seen of each shard.
  virtual v1::Hello MakeHello() = 0;
  virtual void OnWelcome(const v1::Welcome& welcome) = 0;
  virtual void OnGrant(const v1::Grant& grant) = 0;
  virtual void OnRevoke(const v1::Revoke& revoke) = 0;
  virtual void OnRules(const v1::AccountRules& rules) = 0;
  virtual void OnClaimRefused(const v1::ClaimRefused& refused) = 0;
  virtual void OnPositions(const v1::Positions& positions) = 0;
  virtual void OnAck(const v1::Ack& ack) = 0;
  virtual void OnWant(const v1::Want& want) = 0;
  virtual void OnAdmit(const v1::SnapshotAdmit& admit) = 0;
  virtual void OnAuditOrder(const v1::AuditOrder& order) = 0;
  virtual void OnSnapshotDone(const v1::SnapshotDone& done) = 0;
  // As StartApiCall.
  virtual std::unique_ptr<ApiCall> OnApiRequest(const v1::ApiRequest& request, std::string body,
                                                ApiAnswer* answer) = 0;
  // The backlog was full and is not any more.
  virtual void OnRoom() = 0;
  // The session is over: every grant with it.
  virtual void OnLost(const std::string& why) = 0;
};

struct UplinkOptions {
  std::vector<std::string> endpoints;
  // The first pause is short: when an endpoint dies, others have what it had.
  base::BackoffOptions backoff{.first = base::milliseconds(50), .most = base::seconds(30)};
  base::Duration welcome_timeout = base::seconds(20);
  uint64_t seed = 1;
  // Told how long each answered beat took there and back.
  std::function<void(base::Duration took)> on_round_trip;
};

// Keeps one session with one of the endpoints: Control at once, Changes from the first grant on (a
// standby needs none), beats, and a new session after a loss with full jitter over the addresses.
// Backoff starts anew with the first ack, not with a mere connection. Loop thread only, but for
// backlog().
class Uplink {
 public:
  using MakeChannel = std::function<std::unique_ptr<wire::AgentChannel>(const std::string& target)>;

  Uplink(const UplinkOptions& options, MakeChannel make_channel, UplinkListener* listener,
         base::Loop* loop);
  ~Uplink();
  void Start();
  // Ends the session; the listener is not told.
  void Stop();
  // Ends the session and begins another, for instance with a new certificate.
  void Reconnect(const std::string& why);

  // Dropped without a session: what they say is said again after the next Welcome.
  void SendClaims(v1::Claims claims);
  void SendStatus(v1::AccountStatus status);
  // The batch's payload was added to the backlog.
  void SendBatch(v1::Batch batch);
  void AskSnapshot(v1::SnapshotAsk ask);

  [[nodiscard]] bool connected() const { return welcomed_; }
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  [[nodiscard]] Backlog& backlog() { return backlog_; }
  // Bytes that may be on their way at once; 0 without a Changes stream.
  [[nodiscard]] size_t window() const;

 private:
  struct ControlStream;
  struct ChangesStream;
  void Connect();
  void Lost(const std::string& why);
  void OnControl(const v1::ControlDown& message);
  void OnChanges(const v1::ChangesDown& message);
  void OnWelcome(const v1::Welcome& welcome);
  void OpenChanges();
  void OnBeat(uint64_t number);
  void OnMark(uint64_t number);
  void Beat();

  UplinkOptions options_;
  MakeChannel make_channel_;
  UplinkListener* listener_;
  base::Loop* loop_;
  base::Backoff backoff_;
  size_t next_endpoint_ = 0;
  std::string endpoint_;
  // The channel goes after its streams.
  std::unique_ptr<wire::AgentChannel> channel_;
  std::unique_ptr<ControlStream> control_;
  std::unique_ptr<ChangesStream> changes_;
  std::unique_ptr<Exchanges> exchanges_;
  Backlog backlog_;
  bool may_pace_ = false;
  bool welcomed_ = false;
  std::string session_id_;
  base::Duration beat_interval_ = base::seconds(2);
  base::Duration lease_ = base::seconds(10);
  base::Time heard_{};
  uint64_t beats_ = 0;
  std::deque<std::pair<uint64_t, base::Time>> unanswered_;  // beats, and when they were sent
  std::unique_ptr<base::Timer> beat_timer_;
  std::unique_ptr<base::Timer> retry_timer_;
};

}  // namespace fairlead::agent
